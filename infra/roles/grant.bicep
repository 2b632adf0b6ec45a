// Assigns one role to one principal at several scopes, in other resource groups and subscriptions too.
import { Places } from '../types.bicep'

@description('Required. Object ID of the principal; for a managed identity, its principal ID.')
param principalId string

@description('Optional. Kind of the principal.')
param principalType 'Group' | 'ServicePrincipal' | 'User' = 'ServicePrincipal'

@description('Required. Name (a GUID) of the role definition.')
param roleDefinitionId string

@description('Required. Scopes of the assignment.')
param places Places

// The name of the deployment depends on the assignment, because two deployments with one name at the
// same scope conflict.
module onResources 'on-resource.json' = [
  for id in (places.?resources ?? []): {
    name: 'grant-${uniqueString(toLower(id), toLower(principalId), toLower(roleDefinitionId))}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      resourceId: id
      principalId: principalId
      principalType: principalType
      roleDefinitionId: roleDefinitionId
    }
  }
]

module onGroups 'on-group.bicep' = [
  for id in (places.?resourceGroups ?? []): {
    name: 'grant-${uniqueString(toLower(id), toLower(principalId), toLower(roleDefinitionId))}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: roleDefinitionId
    }
  }
]

module onSubscriptions 'on-subscription.bicep' = [
  for id in (places.?subscriptions ?? []): {
    name: 'grant-${uniqueString(toLower(id), toLower(principalId), toLower(roleDefinitionId))}'
    scope: subscription(split(id, '/')[2])
    params: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: roleDefinitionId
    }
  }
]
