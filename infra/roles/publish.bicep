// Assigns Monitoring Metrics Publisher to an app at the scopes in publishTo.
import { Places } from '../types.bicep'
import { roles } from 'roles.bicep'

@description('Required. Principal ID of the app\'s managed identity.')
param principalId string

@description('Required. Resources, resource groups or subscriptions whose metrics the app may publish.')
param publishTo Places

module publisher 'grant.bicep' = {
  name: 'publish-${uniqueString(toLower(principalId))}'
  params: {
    principalId: principalId
    roleDefinitionId: roles.monitoringMetricsPublisher
    places: publishTo
  }
}
