// Lets an app sample: read queues and Service Bus namespaces, and find out where resources are.
import { Places } from '../types.bicep'
import { roles } from 'roles.bicep'

@description('Required. Principal ID of the app\'s managed identity.')
param principalId string

@description('Optional. IDs of the storage accounts whose queues are sampled.')
param sampledAccounts string[] = []

@description('Optional. IDs of the Service Bus namespaces that are sampled.')
param sampledNamespaces string[] = []

@description('Optional. Where regions are looked up, for messages and sources that name none.')
param lookUpRegionsIn Places = {}

module queues 'grant.bicep' = {
  name: 'sample-queues-${uniqueString(toLower(principalId))}'
  params: {
    principalId: principalId
    roleDefinitionId: roles.storageQueueDataReader
    places: { resources: sampledAccounts }
  }
}

// One deployment, since a namespace that is sampled may be one whose region is looked up; in lower
// case, since it is granted once even if it is written in two ways.
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
