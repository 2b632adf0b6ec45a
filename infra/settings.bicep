// All app settings. A deployment removes settings that are not here. Every connection uses the identity.
// Flex Consumption sets language and version itself.
import { Source } from 'sources.bicep'
import { RelaySettings } from 'types.bicep'

@description('Required. Name of the function app.')
param functionAppName string

@description('Required. Region of the function app, in lower case and without spaces.')
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

@description('Required. METRICS_SAMPLE_SCHEDULE: when the timer samples, as NCRONTAB, such as 0 */5 * * * *.')
param sampleSchedule string

@description('Required. METRICS_SOURCES: sources that the timer samples.')
param sources Source[]

@description('Required. Whether the timer also samples the ingress and the dead-letter queue.')
param sampleOwnQueues bool

@description('Required. METRICS_ALLOWED_SCOPES, unless relay has it: prefixes of resource IDs that the app may publish to.')
param allowedScopes string[]

@description('Required. Settings that have a default.')
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

// Dead letters stay until an operator deletes them, so an alert on their age would never resolve.
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

// The URIs are right in every cloud, and override the name, which means the public cloud. The name is
// here because the host can read its storage setting before the URIs are there:
// https://github.com/Azure/azure-functions-host/issues/11787.
var hostSettings = {
  AzureWebJobsStorage__accountName: storageAccountName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: endpoints.blob
  AzureWebJobsStorage__queueServiceUri: endpoints.queue
  // On a stop the host waits ten seconds for messages in work; with this it takes no new ones.
  FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

// Flex Consumption does not tell the app its resource group, so METRICS_RESOURCE_ID names the app.
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
  // The app's region is right only for the app; other regions are looked up in Azure Resource Manager.
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
