// The roles that Metric Relay needs. The IDs are the same in every tenant.
// Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles

@export()
@description('IDs of the role definitions.')
var roles = {
  // For the app, on the resources that it publishes to, on itself and on its Application Insights. Writing
  // metrics is a data action, which Owner does not include.
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'

  // For the app, on sampled Service Bus namespaces, and where it looks up regions.
  reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

  // For the Functions host, on its storage account: packages, leases of timers, keys.
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

  // For the app and the host, on their storage account: get, renew, release, delete and enqueue messages.
  // Reader and Message Processor together do not include this.
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'

  // For producers, on the ingress queue only: enqueue, without reading.
  storageQueueDataMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'

  // For the app, on storage accounts whose queues it samples: list, count, peek.
  storageQueueDataReader: '19e7f393-937e-4f77-808e-94535e297925'
}
