// Assigns one role on a subscription.
targetScope = 'subscription'

@description('Required. Object ID of whom the role is assigned to.')
param principalId string

@description('Required. What the principal is.')
param principalType 'Group' | 'ServicePrincipal' | 'User'

@description('Required. Name (a GUID) of the role\'s definition.')
param roleDefinitionId string

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  // Whatever letters somebody writes an ID in, it is the same assignment.
  name: guid(toLower(subscription().id), toLower(principalId), toLower(roleDefinitionId))
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleDefinitionId)
    principalId: principalId
    principalType: principalType
  }
}
