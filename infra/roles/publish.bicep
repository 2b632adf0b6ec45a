// Lets an app publish metrics: Monitoring Metrics Publisher wherever publishTo says.
import { Places } from '../types.bicep'
import { roles } from 'roles.bicep'

@description('Required. Principal ID of the app\'s managed identity.')
param principalId string

@description('Required. The resources that the app publishes metrics of, or their groups or subscriptions.')
param publishTo Places

module publisher 'grant.bicep' = {
  name: 'publish-${uniqueString(toLower(principalId))}'
  params: {
    principalId: principalId
    roleDefinitionId: roles.monitoringMetricsPublisher
    places: publishTo
  }
}
