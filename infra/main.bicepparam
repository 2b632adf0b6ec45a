// What Metric Relay is deployed with. Every parameter is optional; the ones that most people need
// stand here. `az deployment group create --parameters infra/main.bicepparam` and azd read this file.
using 'main.bicep'

// What the names of all resources begin with.
param name = 'metric-relay'

// What metrics are published of: the narrower, the better. Nothing else can be written to, by role
// and by METRICS_ALLOWED_SCOPES. Resources come first, then groups, then whole subscriptions:
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

// What the timer samples; docs/sources says what each kind takes. The resource that the metrics
// belong to must be in publishTo as well, and what is read below in sampledAccounts:
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

// Storage accounts and Service Bus namespaces that the sources read, by ID.
param sampledAccounts = []
param sampledNamespaces = []

// Who may enqueue, and nothing more: object IDs, of a managed identity the principal ID.
//
// param producers = [
//   { principalId: '00000000-0000-0000-0000-000000000000', principalType: 'ServicePrincipal' }
// ]
param producers = []

// Who is told of alerts: IDs of action groups of the same subscription.
param actionGroupIds = []
