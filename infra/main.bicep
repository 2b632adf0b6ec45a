// Metric Relay with all that it needs, in one resource group: no keys, and the least roles.
import { Source } from 'sources.bicep'
import { Places, Producer, RelaySettings, Thresholds } from 'types.bicep'

targetScope = 'resourceGroup'

@description('Optional. What the names of the resources begin with: letters, digits and hyphens.')
@minLength(3)
@maxLength(20)
param name string = 'metric-relay'

@description('Optional. Where the resources are created.')
param location string = resourceGroup().location

@description('Optional. Tags of the resources.')
param tags { *: string } = {}

// --- What the relay may write and read ----------------------------------------------------------

@description('Optional. The resources that metrics are published of, or their groups or subscriptions. The app gets Monitoring Metrics Publisher there, and publishes of nothing else.')
param publishTo Places = {}

@description('Optional. What the timer samples. Name the resources that the metrics belong to in publishTo, and what is read in sampledAccounts or sampledNamespaces.')
param sources Source[] = []

@description('Optional. IDs of the storage accounts whose queues are sampled.')
param sampledAccounts string[] = []

@description('Optional. IDs of the Service Bus namespaces that are sampled.')
param sampledNamespaces string[] = []

@description('Optional. Where the app may look up regions, for messages and sources that name none.')
param lookUpRegionsIn Places = {}

@description('Optional. Who may enqueue metrics.')
param producers Producer[] = []

@description('Optional. Whether depth and age of the ingress queue and the depth of the dead-letter queue are published, on their storage account.')
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

@description('Optional. When sources are sampled, as NCRONTAB of six fields; every minute by default. If it is slower than every 15 minutes, thresholds.silentAfter must be longer.')
param sampleSchedule string = '0 * * * * *'

@description('Optional. Settings that rarely need another value than their default.')
param relay RelaySettings = {}

@description('Optional. Further app settings, such as connections that sources name.')
param extraSettings { *: string } = {}

// --- Where it runs ------------------------------------------------------------------------------

@description('Optional. Python version.')
param pythonVersion '3.11' | '3.12' | '3.13' | '3.14' = '3.12'

@description('Optional. Memory of an instance in MB.')
param instanceMemoryMB 512 | 2048 | 4096 = 2048

@description('Optional. Most instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. How the storage account is replicated.')
param storageSku 'Standard_GRS' | 'Standard_GZRS' | 'Standard_LRS' | 'Standard_ZRS' = 'Standard_LRS'

@description('Optional. Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionInDays int = 30

@description('Optional. Whether storage is reached through private endpoints in a network of its own alone; producers then need a way into that network. The subscription must have registered the provider Microsoft.App.')
param privateNetwork bool = false

@description('Optional. Addresses of that network: a /24, or more.')
param addressPrefix string = '10.73.0.0/24'

// --- Who is told --------------------------------------------------------------------------------

@description('Optional. Whether alerts are created: false, if an alert on a queue\'s resource in another subscription is refused.')
param deployAlerts bool = true

@description('Optional. IDs of the action groups, of the same subscription, that alerts go to; without any they show in the portal alone.')
param actionGroupIds string[] = []

@description('Optional. From which values on the alerts fire.')
param thresholds Thresholds = {}

@description('Optional. Whether the workbook is created.')
param deployWorkbook bool = true

// As a metric names it, whichever way the parameter does.
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

// What the app may publish of: METRICS_ALLOWED_SCOPES says the same as the roles. It is
// never empty, which would mean everything.
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
// In lower case: alerts and charts are made once for a resource, in whatever letters sources name it.
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

@description('Name of the function app: `func azure functionapp publish NAME --python` takes it.')
output functionAppName string = app.outputs.functionAppName

@description('ID of the function app, which has the relay\'s metrics on itself.')
output functionAppId string = app.outputs.functionAppId

@description('Principal ID of the app\'s identity: the modules under roles/ take it.')
output principalId string = identity.properties.principalId

@description('Name of the storage account.')
output storageAccountName string = storage.outputs.accountName

@description('ID of the storage account.')
output storageAccountId string = storage.outputs.accountId

@description('Name of the ingress queue.')
output queueName string = queueName
