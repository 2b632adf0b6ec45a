// Types that main.bicep and the modules under roles/ share.

@export()
@sealed()
@description('Places where a role is granted: in full, by resource ID.')
type Places = {
  @description('Optional. IDs of resources: the narrowest, and so the best.')
  resources: string[]?

  @description('Optional. IDs of resource groups: /subscriptions/…/resourceGroups/….')
  resourceGroups: string[]?

  @description('Optional. IDs of subscriptions: /subscriptions/….')
  subscriptions: string[]?
}

@export()
@sealed()
@description('Somebody or something that may enqueue metrics.')
type Producer = {
  @description('Required. Object ID of the user, group or service principal (of a managed identity: its principal ID).')
  @minLength(36)
  @maxLength(36)
  principalId: string

  @description('Required. What it is.')
  principalType: 'Group' | 'ServicePrincipal' | 'User'
}

@export()
@sealed()
@description('App settings that rarely need another value than their default; docs/settings.md explains them.')
type RelaySettings = {
  @description('Optional. METRICS_RESOURCE_ID: resource of points that name none and of the relay\'s metrics on itself; the function app if it is missing. Name it in publishTo too.')
  resourceId: string?

  @description('Optional. METRICS_REGION: where that resource is. If it is missing: the region of the function app or, of a resourceId, what a look-up finds, for which lookUpRegionsIn must name it.')
  region: string?

  @description('Optional. METRICS_NAMESPACE: namespace of points that name none.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. METRICS_ALLOWED_SCOPES: beginnings of the IDs of resources that may be written to; what publishTo names if it is missing.')
  allowedScopes: string[]?

  @description('Optional. METRICS_ENDPOINT: ingestion endpoint; {region} stands for the region.')
  endpoint: string?

  @description('Optional. METRICS_AUDIENCE: audience of the tokens for it.')
  audience: string?

  @description('Optional. METRICS_PAST_MINUTES: how old a point may be.')
  @minValue(1)
  @maxValue(30)
  pastMinutes: int?

  @description('Optional. METRICS_FUTURE_MINUTES: how far ahead a point may be.')
  @minValue(0)
  @maxValue(5)
  futureMinutes: int?

  @description('Optional. METRICS_MAX_BODY_BYTES: request body, uncompressed.')
  @minValue(65536)
  @maxValue(4000000)
  maxBodyBytes: int?

  @description('Optional. METRICS_MAX_ACTIVE_SERIES: active series of a subscription and region, above which new ones are dead-lettered.')
  @minValue(1)
  @maxValue(1000000)
  maxActiveSeries: int?
}

@export()
@description('How long the relay may be silent: longer than from one tick of sampleSchedule to the next.')
type Silence = 'PT15M' | 'PT30M' | 'PT1H' | 'PT6H'

@export()
@sealed()
@description('From which values on the alerts fire.')
type Thresholds = {
  @description('Optional. Messages in a sampled queue; 1000 if it is missing.')
  @minValue(0)
  queueDepth: int?

  @description('Optional. Seconds that the oldest message of a sampled queue has waited; 300 if it is missing.')
  @minValue(0)
  queueAge: int?

  @description('Optional. Seconds from enqueueing a metric to its publication; 120 if it is missing.')
  @minValue(0)
  latency: int?

  @description('Optional. How long the timer has not ticked well: PT15M if it is missing. A slower sampleSchedule needs more, or the alert never ends.')
  silentAfter: Silence?
}
