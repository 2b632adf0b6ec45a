// What METRICS_SOURCES may hold, as types: a misspelt member is an error before anything is
// deployed. docs/sources.schema.json says the same of the setting itself; a test compares them.

@export()
@discriminator('kind')
@description('A source that the timer samples, of one of the kinds in docs/sources.')
type Source = StorageQueueSource | ServiceBusSource | RestSource

@description('Dimension name to value, or to the expression that finds it.')
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
  @description('Required. The kind of source.')
  kind: 'storage_queue'

  @description('Optional. Name of the source in logs, metrics and alerts, unlike all others; its position if it is missing.')
  @minLength(1)
  @maxLength(256)
  name: string?

  @description('Required. ID of the resource that the metrics belong to, mostly the storage account.')
  resourceId: string

  @description('Optional. Where that resource is, such as westeurope; looked up if it is missing.')
  region: string?

  @description('Optional. Metric namespace; that of the relay if it is missing.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. Dimensions that every point gets beside its own.')
  dimensions: Names?

  @description('Optional. How often to sample, such as 5m; at each tick of the timer if it is missing.')
  every: string?

  @description('Required. Names and patterns of queues; !pattern excludes.')
  @minLength(1)
  queues: string[]

  @description('Optional. Address of the account\'s queues, beginning with https.')
  account: string?

  @description('Optional. Name of a Functions connection among the app settings, instead of account.')
  connection: string?

  @description('Optional. Which metrics; all if it is missing.')
  @minLength(1)
  metrics: QueueMetric[]?
}

@export()
@sealed()
@description('Message counts of the queues, topics and subscriptions of one Service Bus namespace.')
type ServiceBusSource = {
  @description('Required. The kind of source.')
  kind: 'service_bus'

  @description('Optional. Name of the source in logs, metrics and alerts, unlike all others; its position if it is missing.')
  @minLength(1)
  @maxLength(256)
  name: string?

  @description('Required. ID of the resource that the metrics belong to, mostly the Service Bus namespace.')
  resourceId: string

  @description('Optional. Where that resource is, such as westeurope; looked up if it is missing.')
  region: string?

  @description('Optional. Metric namespace; that of the relay if it is missing.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. Dimensions that every point gets beside its own.')
  dimensions: Names?

  @description('Optional. How often to sample, such as 5m; at each tick of the timer if it is missing.')
  every: string?

  @description('Optional. ID of the Service Bus namespace to sample; resourceId if it is missing.')
  serviceBus: string?

  @description('Optional. Names and patterns of queues, topics and topic/subscription; !pattern excludes.')
  @minLength(1)
  entities: string[]?
}

@export()
@sealed()
@description('Numbers out of any JSON over HTTPS, found by JMESPath.')
type RestSource = {
  @description('Required. The kind of source.')
  kind: 'rest'

  @description('Optional. Name of the source in logs, metrics and alerts, unlike all others; its position if it is missing.')
  @minLength(1)
  @maxLength(256)
  name: string?

  @description('Required. ID of the resource that the metrics belong to.')
  resourceId: string

  @description('Optional. Where that resource is, such as westeurope; looked up if it is missing.')
  region: string?

  @description('Optional. Metric namespace; that of the relay if it is missing.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. Dimensions that every point gets beside its own.')
  dimensions: Names?

  @description('Optional. How often to sample, such as 5m; at each tick of the timer if it is missing.')
  every: string?

  @description('Required. Address that answers GET with JSON, beginning with https.')
  url: string

  @description('Required. Metric name to the expression of its value in a thing measured.')
  metrics: Names

  @description('Optional. Audience of a token of the app\'s identity; anonymous if it is missing.')
  @minLength(1)
  audience: string?

  @description('Optional. Expression of the list of things measured; the whole answer if it is missing.')
  @minLength(1)
  items: string?

  @description('Optional. Dimension name to the expression of its value in a thing measured.')
  itemDimensions: Names?

  @description('Optional. Expression of the next page\'s address; nextLink if it is missing.')
  @minLength(1)
  nextLink: string?
}
