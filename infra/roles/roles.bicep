// The roles that Metric Relay needs, by name, and why. The IDs are the same in every tenant.
// Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles

@export()
@description('ID of each role\'s definition.')
var roles = {
  // The app, on what it publishes metrics of, on itself, and on its Application Insights: to write
  // metrics is a data action, which not even an Owner may do.
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'

  // The app, on Service Bus namespaces whose counts it reads, and where regions are looked up.
  reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

  // The Functions host, on its own account: packages, leases of timers, keys.
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

  // The app and the host, on their own account: to take, renew, release and delete messages, and to
  // put them into the dead-letter and poison queues. Reader and Message Processor together cannot.
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'

  // Producers, on the ingress queue alone: they can enqueue, and read nothing.
  storageQueueDataMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'

  // The app, on accounts whose queues it samples: to list and count them, and to peek.
  storageQueueDataReader: '19e7f393-937e-4f77-808e-94535e297925'
}
