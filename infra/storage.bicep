// The storage account: ingress and dead-letter queue, the app's package, and the host's leases.

@description('Required. Location of the account.')
param location string

@description('Required. Name of the account.')
@minLength(3)
@maxLength(24)
param name string

@description('Optional. Tags of the account.')
param tags { *: string } = {}

@description('Optional. Replication of the account.')
param sku 'Standard_GRS' | 'Standard_GZRS' | 'Standard_LRS' | 'Standard_ZRS' = 'Standard_LRS'

@description('Required. Name of the ingress queue.')
param queueName string

@description('Required. Name of the dead-letter queue.')
param deadLetterQueueName string

@description('Optional. Whether only private endpoints reach the account.')
param isPrivate bool = false

var packages = 'app-packages'

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource deployment 'containers' = {
      name: packages
      properties: {
        publicAccess: 'None'
      }
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource ingress 'queues' = {
      name: queueName
    }

    resource deadLetters 'queues' = {
      name: deadLetterQueueName
    }
  }
}

@description('ID of the account.')
output accountId string = account.id

@description('Name of the account.')
output accountName string = account.name

@description('URL of the container for the app\'s package.')
output packagesUrl string = '${account.properties.primaryEndpoints.blob}${packages}'
