// Types of the entries of METRICS_SOURCES: a misspelt member is an error before the deployment.
// A test compares them with docs/sources.schema.json.

@export()
@discriminator('kind')
@description('A source that the timer samples; docs/sources describes the kinds.')
type Source = StorageQueueSource | ServiceBusSource | RestSource

@description('Name to value, or to the expression of the value.')
type Names = {
  @description('Optional. Up to 256 characters, as the name.')
  *: string
}

@description('A metric of a storage queue.')
type QueueMetric = 'PoisonQueueDepth' | 'QueueDepth' | 'QueueOldestMessageAge' | 'QueueVisibleDepth'

@export()
@sealed()
@description('Depth and age of the queues of one storage account; exactly one of account and connection.')
type StorageQueueSource = {
  @description('Required. Kind of the source.')
  kind: 'storage_queue'

  @description('Optional. Name of the source in logs, metrics and alerts, unique; its index by default.')
  @minLength(1)
  @maxLength(256)
  name: string?

  @description('Required. ID of the resource that the metrics belong to, mostly the storage account.')
  resourceId: string

  @description('Optional. Region of that resource, such as westeurope; looked up by default.')
  region: string?

  @description('Optional. Metric namespace; METRICS_NAMESPACE by default.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. Dimensions that the source adds to every point.')
  dimensions: Names?

  @description('Optional. How often to sample, such as 5m; at each tick of the timer by default.')
  every: string?

  @description('Required. Names and patterns of queues; !pattern excludes.')
  @minLength(1)
  queues: string[]

  @description('Optional. URL of the account\'s queues, with https.')
  account: string?

  @description('Optional. Name of a Functions connection among the app settings, instead of account.')
  connection: string?

  @description('Optional. Metrics to publish; all by default.')
  @minLength(1)
  metrics: QueueMetric[]?
}

@export()
@sealed()
@description('Message counts of the queues, topics and subscriptions of one Service Bus namespace.')
type ServiceBusSource = {
  @description('Required. Kind of the source.')
  kind: 'service_bus'

  @description('Optional. Name of the source in logs, metrics and alerts, unique; its index by default.')
  @minLength(1)
  @maxLength(256)
  name: string?

  @description('Required. ID of the resource that the metrics belong to, mostly the Service Bus namespace.')
  resourceId: string

  @description('Optional. Region of that resource, such as westeurope; looked up by default.')
  region: string?

  @description('Optional. Metric namespace; METRICS_NAMESPACE by default.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. Dimensions that the source adds to every point.')
  dimensions: Names?

  @description('Optional. How often to sample, such as 5m; at each tick of the timer by default.')
  every: string?

  @description('Optional. ID of the Service Bus namespace to sample; resourceId by default.')
  serviceBus: string?

  @description('Optional. Names and patterns of queues, topics and topic/subscription; !pattern excludes.')
  @minLength(1)
  entities: string[]?
}

@export()
@sealed()
@description('Numbers in any JSON over HTTPS, selected with JMESPath.')
type RestSource = {
  @description('Required. Kind of the source.')
  kind: 'rest'

  @description('Optional. Name of the source in logs, metrics and alerts, unique; its index by default.')
  @minLength(1)
  @maxLength(256)
  name: string?

  @description('Required. ID of the resource that the metrics belong to.')
  resourceId: string

  @description('Optional. Region of that resource, such as westeurope; looked up by default.')
  region: string?

  @description('Optional. Metric namespace; METRICS_NAMESPACE by default.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. Dimensions that the source adds to every point.')
  dimensions: Names?

  @description('Optional. How often to sample, such as 5m; at each tick of the timer by default.')
  every: string?

  @description('Required. URL that returns JSON, with https.')
  url: string

  @description('Required. Metric name to the expression of its value in an item.')
  metrics: Names

  @description('Optional. Audience of a token of the app\'s identity; by default, the request is anonymous.')
  @minLength(1)
  audience: string?

  @description('Optional. Expression of the list of items; by default, the whole answer is one item.')
  @minLength(1)
  items: string?

  @description('Optional. Dimension name to the expression of its value in an item.')
  itemDimensions: Names?

  @description('Optional. Expression of the URL of the next page; nextLink by default.')
  @minLength(1)
  nextLink: string?
}
