// Assigns the roles for sampling queues and Service Bus namespaces, and for looking up regions, to an app.
import { Places } from '../types.bicep'
import { roles } from 'roles.bicep'

@description('Required. Principal ID of the app\'s managed identity.')
param principalId string

@description('Optional. IDs of the storage accounts whose queues are sampled.')
param sampledAccounts string[] = []

@description('Optional. IDs of the Service Bus namespaces that are sampled.')
param sampledNamespaces string[] = []

@description('Optional. Where the app looks up regions that messages and sources do not name.')
param lookUpRegionsIn Places = {}

module queues 'grant.bicep' = {
  name: 'sample-queues-${uniqueString(toLower(principalId))}'
  params: {
    principalId: principalId
    roleDefinitionId: roles.storageQueueDataReader
    places: { resources: sampledAccounts }
  }
}

// One deployment for both, because a sampled namespace may also be a scope of look-ups. In lower case,
// because IDs may be spelt in several ways.
module reading 'grant.bicep' = {
  name: 'sample-reading-${uniqueString(toLower(principalId))}'
  params: {
    principalId: principalId
    roleDefinitionId: roles.reader
    places: {
      resources: union(
        map(sampledNamespaces, id => toLower(id)),
        map(lookUpRegionsIn.?resources ?? [], id => toLower(id))
      )
      resourceGroups: lookUpRegionsIn.?resourceGroups
      subscriptions: lookUpRegionsIn.?subscriptions
    }
  }
}
