// Grants one role to one principal at any number of places, in other groups and subscriptions too.
import { Places } from '../types.bicep'

@description('Required. Object ID of whom the role is granted to; of a managed identity its principal ID.')
param principalId string

@description('Optional. What the principal is.')
param principalType 'Group' | 'ServicePrincipal' | 'User' = 'ServicePrincipal'

@description('Required. Name (a GUID) of the role\'s definition.')
param roleDefinitionId string

@description('Required. Where the role is granted.')
param places Places

// The name of a deployment is unique by what it grants: two of the same name at one place would
// stop each other.
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
