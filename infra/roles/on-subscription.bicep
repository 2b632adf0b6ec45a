// Assigns one role on a subscription.
targetScope = 'subscription'

@description('Required. Object ID of the principal.')
param principalId string

@description('Required. Kind of the principal.')
param principalType 'Group' | 'ServicePrincipal' | 'User'

@description('Required. Name (a GUID) of the role definition.')
param roleDefinitionId string

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  // In lower case, because IDs may be spelt in several ways.
  name: guid(toLower(subscription().id), toLower(principalId), toLower(roleDefinitionId))
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleDefinitionId)
    principalId: principalId
    principalType: principalType
  }
}
