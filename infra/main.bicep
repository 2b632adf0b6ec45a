// Metric Relay with everything it needs, in one resource group, without keys and with the least roles.
import { Source } from 'sources.bicep'
import { Places, Producer, RelaySettings, Thresholds } from 'types.bicep'

targetScope = 'resourceGroup'

@description('Optional. Prefix of the names of the resources: letters, digits and hyphens.')
@minLength(3)
@maxLength(20)
param name string = 'metric-relay'

@description('Optional. Location of the resources.')
param location string = resourceGroup().location

@description('Optional. Tags of the resources.')
param tags { *: string } = {}

// --- What the relay may publish and read ----------------------------------------------------------

@description('Optional. Resources, resource groups or subscriptions whose metrics the app may publish. The app gets Monitoring Metrics Publisher there, and publishes nowhere else.')
param publishTo Places = {}

@description('Optional. Sources that the timer samples. Add their resourceId to publishTo, and the accounts and namespaces that they read to sampledAccounts or sampledNamespaces.')
param sources Source[] = []

@description('Optional. IDs of the storage accounts whose queues are sampled.')
param sampledAccounts string[] = []

@description('Optional. IDs of the Service Bus namespaces that are sampled.')
param sampledNamespaces string[] = []

@description('Optional. Where the app may look up regions that messages and sources do not name.')
param lookUpRegionsIn Places = {}

@description('Optional. Identities that may enqueue metrics.')
param producers Producer[] = []

@description('Optional. Whether the app publishes depth and age of the ingress queue, and the depth of the dead-letter queue, on their storage account.')
param sampleOwnQueues bool = true

// --- Settings of the relay ----------------------------------------------------------------------

@description('Optional. Name of the ingress queue.')
@minLength(3)
@maxLength(51)
param queueName string = 'metrics'

@description('Optional. Name of the dead-letter queue.')
@minLength(3)
@maxLength(63)
param deadLetterQueueName string = '${queueName}-dead-letter'

@description('Optional. When the timer samples, as NCRONTAB, such as 0 */5 * * * *; by default, every minute. If it is slower than every 15 minutes, thresholds.silentAfter must be longer.')
param sampleSchedule string = '0 * * * * *'

@description('Optional. Settings that rarely need a value.')
param relay RelaySettings = {}

@description('Optional. Further app settings, such as connections that sources name.')
param extraSettings { *: string } = {}

// --- Resources -----------------------------------------------------------------------------------

@description('Optional. Python version.')
param pythonVersion '3.11' | '3.12' | '3.13' | '3.14' = '3.12'

@description('Optional. Memory of an instance in MB.')
param instanceMemoryMB 512 | 2048 | 4096 = 2048

@description('Optional. Maximum number of instances.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. Replication of the storage account.')
param storageSku 'Standard_GRS' | 'Standard_GZRS' | 'Standard_LRS' | 'Standard_ZRS' = 'Standard_LRS'

@description('Optional. Retention of logs, in days.')
@minValue(30)
@maxValue(730)
param logRetentionInDays int = 30

@description('Optional. Whether the app runs in a virtual network, and only private endpoints in it reach the storage account. Producers then need access to that network. The provider Microsoft.App must be registered in the subscription.')
param privateNetwork bool = false

@description('Optional. Address space of that network: /24 or larger.')
param addressPrefix string = '10.73.0.0/24'

// --- Alerts -------------------------------------------------------------------------------------

@description('Optional. Whether to create alerts. Set it to false if Azure refuses an alert on a queue\'s resource in another subscription.')
param deployAlerts bool = true

@description('Optional. IDs of the action groups, of the same subscription, that Azure notifies; without any, alerts appear only in the portal.')
param actionGroupIds string[] = []

@description('Optional. Values above which the alerts fire.')
param thresholds Thresholds = {}

@description('Optional. Whether to create the workbook.')
param deployWorkbook bool = true

// The region as the ingestion API spells it.
var region = toLower(replace(location, ' ', ''))
var unique = uniqueString(toLower(resourceGroup().id), toLower(name))
var storageName = '${take(replace(toLower(name), '-', ''), 9)}st${unique}'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
  tags: tags
}

module monitoring 'monitoring.bicep' = {
  name: '${name}-monitoring'
  params: {
    location: location
    name: name
    tags: tags
    retentionInDays: logRetentionInDays
  }
}

module storage 'storage.bicep' = {
  name: '${name}-storage'
  params: {
    location: location
    name: storageName
    tags: tags
    sku: storageSku
    queueName: queueName
    deadLetterQueueName: deadLetterQueueName
    isPrivate: privateNetwork
  }
}

module network 'network.bicep' = if (privateNetwork) {
  name: '${name}-network'
  params: {
    location: location
    name: name
    tags: tags
    addressPrefix: addressPrefix
    storageAccountId: storage.outputs.accountId
  }
}

module app 'app.bicep' = {
  name: '${name}-app'
  params: {
    location: location
    name: '${name}-${unique}'
    tags: tags
    identityId: identity.id
    packagesUrl: storage.outputs.packagesUrl
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    subnetId: privateNetwork ? network!.outputs.appSubnetId : null
  }
}

// METRICS_ALLOWED_SCOPES has the scopes of the roles. It is never empty: empty means any resource.
var relayResourceId = relay.?resourceId ?? app.outputs.functionAppId
var allowedScopes = union(
  [relayResourceId],
  sampleOwnQueues ? [storage.outputs.accountId] : [],
  publishTo.?resources ?? [],
  publishTo.?resourceGroups ?? [],
  publishTo.?subscriptions ?? []
)

module settings 'settings.bicep' = {
  name: '${name}-settings'
  params: {
    functionAppName: app.outputs.functionAppName
    region: region
    identityClientId: identity.properties.clientId
    storageAccountName: storage.outputs.accountName
    insightsName: monitoring.outputs.insightsName
    queueName: queueName
    deadLetterQueueName: deadLetterQueueName
    sampleSchedule: sampleSchedule
    sources: sources
    sampleOwnQueues: sampleOwnQueues
    allowedScopes: allowedScopes
    relay: relay
    extraSettings: extraSettings
  }
}

module hostRoles 'roles/host.bicep' = {
  name: '${name}-roles-host'
  params: {
    principalId: identity.properties.principalId
    storageAccountName: storage.outputs.accountName
    insightsName: monitoring.outputs.insightsName
    functionAppName: app.outputs.functionAppName
    publishesOfStorage: sampleOwnQueues
  }
}

module publishRoles 'roles/publish.bicep' = {
  name: '${name}-roles-publish'
  params: {
    principalId: identity.properties.principalId
    publishTo: publishTo
  }
}

module sampleRoles 'roles/sample.bicep' = {
  name: '${name}-roles-sample'
  params: {
    principalId: identity.properties.principalId
    sampledAccounts: sampledAccounts
    sampledNamespaces: sampledNamespaces
    lookUpRegionsIn: lookUpRegionsIn
  }
}

module producerRoles 'roles/produce.bicep' = {
  name: '${name}-roles-produce'
  params: {
    producers: producers
    storageAccountId: storage.outputs.accountId
    queueName: queueName
  }
}

var queueNamespace = relay.?namespace ?? 'QueueProcessing'
// In lower case, because sources may spell the ID of one resource in several ways.
var queueResourceIds = union(
  sampleOwnQueues ? [toLower(storage.outputs.accountId)] : [],
  map(filter(sources, source => source.kind == 'storage_queue'), source => toLower(source.resourceId))
)

module alerts 'alerts.bicep' = if (deployAlerts) {
  name: '${name}-alerts'
  params: {
    location: location
    name: name
    tags: tags
    functionAppName: app.outputs.functionAppName
    workspaceId: monitoring.outputs.workspaceId
    relayResourceId: relayResourceId
    queueResourceIds: queueResourceIds
    queueNamespace: queueNamespace
    thresholds: thresholds
    actionGroupIds: actionGroupIds
  }
}

module workbook 'workbook.bicep' = if (deployWorkbook) {
  name: '${name}-workbook'
  params: {
    location: location
    displayName: name
    tags: tags
    relayResourceId: relayResourceId
    queueResourceIds: filter(
      queueResourceIds,
      id => contains(id, '/microsoft.storage/storageaccounts/')
    )
    queueNamespace: queueNamespace
  }
}

@description('Name of the function app, for `func azure functionapp publish NAME --python`.')
output functionAppName string = app.outputs.functionAppName

@description('ID of the function app.')
output functionAppId string = app.outputs.functionAppId

@description('Principal ID of the app\'s identity, for the modules under roles/.')
output principalId string = identity.properties.principalId

@description('Name of the storage account.')
output storageAccountName string = storage.outputs.accountName

@description('ID of the storage account.')
output storageAccountId string = storage.outputs.accountId

@description('Name of the ingress queue.')
output queueName string = queueName
