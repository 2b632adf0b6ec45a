// The app settings, all of them: what is not here is taken away from the app. Every connection is
// by identity; Flex Consumption itself says which language and version runs.
import { Source } from 'sources.bicep'
import { RelaySettings } from 'types.bicep'

@description('Required. Name of the function app.')
param functionAppName string

@description('Required. Where the function app is, in lower case and without spaces.')
param region string

@description('Required. Client ID of the app\'s user-assigned identity.')
param identityClientId string

@description('Required. Name of the app\'s storage account.')
param storageAccountName string

@description('Required. Name of the app\'s Application Insights component.')
param insightsName string

@description('Required. METRICS_QUEUE: name of the ingress queue.')
param queueName string

@description('Required. METRICS_DEAD_LETTER_QUEUE: name of the dead-letter queue.')
param deadLetterQueueName string

@description('Required. METRICS_SAMPLE_SCHEDULE: when sources are sampled, as NCRONTAB of six fields.')
param sampleSchedule string

@description('Required. METRICS_SOURCES: what is sampled.')
param sources Source[]

@description('Required. Whether the ingress and the dead-letter queue are sampled too.')
param sampleOwnQueues bool

@description('Required. METRICS_ALLOWED_SCOPES where relay does not say it: beginnings of resource IDs that may be written to.')
param allowedScopes string[]

@description('Required. The settings that have a default.')
param relay RelaySettings

@description('Required. Further app settings, such as connections that sources name.')
param extraSettings { *: string }

resource functionApp 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

var endpoints = storage.properties.primaryEndpoints

// Of dead letters the depth alone: nobody takes them, and an alert on their age would never end.
var ownSources = sampleOwnQueues
  ? [
      {
        kind: 'storage_queue'
        resourceId: storage.id
        region: region
        account: endpoints.queue
        queues: [queueName]
      }
      {
        kind: 'storage_queue'
        resourceId: storage.id
        region: region
        account: endpoints.queue
        queues: [deadLetterQueueName]
        metrics: ['QueueDepth']
      }
    ]
  : []

// The addresses hold in every cloud and win over the name, which makes addresses of the public one;
// with the name the host starts when its storage is asked for before the addresses are there:
// https://github.com/Azure/azure-functions-host/issues/11787.
var hostSettings = {
  AzureWebJobsStorage__accountName: storageAccountName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: endpoints.blob
  AzureWebJobsStorage__queueServiceUri: endpoints.queue
  // A stop waits ten seconds for the messages in work: those may be spent on no others.
  FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

// On Flex Consumption the platform does not tell the app its resource group, so the app would not
// know which resource it is: METRICS_RESOURCE_ID says it.
var relaySettings = {
  AZURE_CLIENT_ID: identityClientId
  MetricsStorage__credential: 'managedidentity'
  MetricsStorage__clientId: identityClientId
  MetricsStorage__queueServiceUri: endpoints.queue
  METRICS_QUEUE: queueName
  METRICS_DEAD_LETTER_QUEUE: deadLetterQueueName
  METRICS_SAMPLE_SCHEDULE: sampleSchedule
  METRICS_SOURCES: string(concat(ownSources, sources))
  METRICS_RESOURCE_ID: relay.?resourceId ?? functionApp.id
  // That of the app for the app alone: where another resource is, Azure Resource Manager tells.
  METRICS_REGION: relay.?region ?? (relay.?resourceId == null ? region : '')
  METRICS_NAMESPACE: relay.?namespace ?? 'QueueProcessing'
  METRICS_ALLOWED_SCOPES: join(relay.?allowedScopes ?? allowedScopes, ',')
  METRICS_ENDPOINT: relay.?endpoint ?? 'https://{region}.monitoring.azure.com'
  METRICS_AUDIENCE: relay.?audience ?? 'https://monitoring.azure.com/'
  METRICS_ARM_ENDPOINT: environment().resourceManager
  METRICS_CREDENTIAL: 'managed_identity'
  METRICS_PAST_MINUTES: string(relay.?pastMinutes ?? 20)
  METRICS_FUTURE_MINUTES: string(relay.?futureMinutes ?? 4)
  METRICS_MAX_BODY_BYTES: string(relay.?maxBodyBytes ?? 1000000)
  METRICS_MAX_ACTIVE_SERIES: string(relay.?maxActiveSeries ?? 50000)
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: functionApp
  name: 'appsettings'
  properties: union(extraSettings, hostSettings, relaySettings)
}
