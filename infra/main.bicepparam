// The usual parameters; all are optional. `az deployment group create --parameters infra/main.bicepparam`
// and azd read this file. main.bicep describes all parameters.
using 'main.bicep'

// Prefix of the names of all resources.
param name = 'metric-relay'

// Resources whose metrics the app may publish. Roles and METRICS_ALLOWED_SCOPES exclude all others. Prefer
// resources to resource groups, and resource groups to subscriptions:
//
// param publishTo = {
//   resources: [
//     '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api'
//   ]
//   resourceGroups: [
//     '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/warehouse'
//   ]
// }
param publishTo = {}

// Sources that the timer samples; docs/sources describes the kinds. Add their resourceId to publishTo, and
// the accounts that they read to sampledAccounts:
//
// param sources = [
//   {
//     kind: 'storage_queue'
//     resourceId: '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/shop/providers/Microsoft.Storage/storageAccounts/orders'
//     region: 'westeurope'
//     account: 'https://orders.queue.core.windows.net'
//     queues: ['images', 'video-*']
//   }
// ]
param sources = []

// IDs of the storage accounts and Service Bus namespaces that the sources read.
param sampledAccounts = []
param sampledNamespaces = []

// Identities that may enqueue, by object ID; for a managed identity, its principal ID.
//
// param producers = [
//   { principalId: '00000000-0000-0000-0000-000000000000', principalType: 'ServicePrincipal' }
// ]
param producers = []

// IDs of the action groups, of the same subscription, that Azure notifies of alerts.
param actionGroupIds = []
