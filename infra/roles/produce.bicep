// Assigns Storage Queue Data Message Sender on the ingress queue to producers.
import { Producer } from '../types.bicep'
import { roles } from 'roles.bicep'

@description('Required. Identities that may enqueue.')
param producers Producer[]

@description('Required. ID of the storage account with the ingress queue.')
param storageAccountId string

@description('Optional. Name of the ingress queue.')
param queueName string = 'metrics'

module senders 'grant.bicep' = [
  for producer in producers: {
    name: 'produce-${uniqueString(toLower(storageAccountId), queueName, toLower(producer.principalId))}'
    params: {
      principalId: producer.principalId
      principalType: producer.principalType
      roleDefinitionId: roles.storageQueueDataMessageSender
      places: { resources: ['${storageAccountId}/queueServices/default/queues/${queueName}'] }
    }
  }
]
