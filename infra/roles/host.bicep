// Roles of the app on its own resources: storage account, Application Insights, and itself.
import { roles } from 'roles.bicep'

@description('Required. Principal ID of the app\'s managed identity.')
param principalId string

@description('Required. Name of the app\'s storage account.')
param storageAccountName string

@description('Required. Name of the app\'s Application Insights component.')
param insightsName string

@description('Required. Name of the function app.')
param functionAppName string

@description('Required. Whether the app publishes metrics of its own queues, on their account.')
param publishesOfStorage bool

// No table role: the host needs it only for its diagnostic events.
var storageRoles = concat(
  [roles.storageBlobDataOwner, roles.storageQueueDataContributor],
  publishesOfStorage ? [roles.monitoringMetricsPublisher] : []
)

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource functionApp 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

// Named as in the other modules: publishTo may contain the same resource in another spelling, and an
// assignment cannot have two names.
resource onStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in storageRoles: {
    name: guid(toLower(storage.id), toLower(principalId), toLower(role))
    scope: storage
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource onInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(insights.id), toLower(principalId), toLower(roles.monitoringMetricsPublisher))
  scope: insights
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

// For the relay's metrics about itself.
resource onFunctionApp 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(functionApp.id), toLower(principalId), toLower(roles.monitoringMetricsPublisher))
  scope: functionApp
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
