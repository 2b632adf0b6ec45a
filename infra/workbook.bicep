// A workbook of the metrics of the relay and of its samples; workbook.json is the content.

@description('Required. Location of the workbook.')
param location string

@description('Required. Display name.')
param displayName string

@description('Optional. Tags of the workbook.')
param tags { *: string } = {}

@description('Required. ID of the resource with the relay\'s metrics about itself, usually the function app.')
param relayResourceId string

@description('Required. IDs of the storage accounts with the metrics of sampled queues.')
param queueResourceIds string[]

@description('Optional. Namespace of the metrics of sampled queues.')
param queueNamespace string = 'QueueProcessing'

// A chart needs the type of its resources.
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
    // In the gallery of Azure Monitor, because it covers several resources.
    sourceId: 'azure monitor'
    serializedData: replace(withNamespace, '"__queueIds__"', string(queueResourceIds))
  }
}

@description('ID of the workbook.')
output workbookId string = workbook.id
