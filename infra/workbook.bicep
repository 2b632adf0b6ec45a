// A workbook with what the relay does and what it samples; its content is workbook.json.

@description('Required. Where the workbook is created.')
param location string

@description('Required. Name that the portal shows.')
param displayName string

@description('Optional. Tags of the workbook.')
param tags { *: string } = {}

@description('Required. ID of the resource, mostly the function app, that has the relay\'s metrics on itself.')
param relayResourceId string

@description('Required. IDs of the storage accounts that have depth and age of sampled queues.')
param queueResourceIds string[]

@description('Optional. Namespace of depth and age.')
param queueNamespace string = 'QueueProcessing'

// A chart names the type of its resources.
var relayIdParts = split(relayResourceId, '/')
var relayType = toLower('${relayIdParts[6]}/${relayIdParts[7]}')

var content = loadTextContent('workbook.json')
var withRelay = replace(replace(content, '__relayId__', relayResourceId), '__relayType__', relayType)
var withNamespace = replace(withRelay, '__queueNamespace__', queueNamespace)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(toLower(resourceGroup().id), toLower(displayName))
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    // In Monitor's own gallery, as it is of many resources.
    sourceId: 'azure monitor'
    serializedData: replace(withNamespace, '"__queueIds__"', string(queueResourceIds))
  }
}

@description('ID of the workbook.')
output workbookId string = workbook.id
