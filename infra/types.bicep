// Types that main.bicep and the modules under roles/ share.

@export()
@sealed()
@description('Scopes of a role assignment, by resource ID.')
type Places = {
  @description('Optional. IDs of resources; prefer these, because they are the narrowest.')
  resources: string[]?

  @description('Optional. IDs of resource groups: /subscriptions/…/resourceGroups/….')
  resourceGroups: string[]?

  @description('Optional. IDs of subscriptions: /subscriptions/….')
  subscriptions: string[]?
}

@export()
@sealed()
@description('An identity that may enqueue metrics.')
type Producer = {
  @description('Required. Object ID of the user, group or service principal; for a managed identity, its principal ID.')
  @minLength(36)
  @maxLength(36)
  principalId: string

  @description('Required. Kind of the principal.')
  principalType: 'Group' | 'ServicePrincipal' | 'User'
}

@export()
@sealed()
@description('App settings that rarely need a value; docs/settings.md describes them.')
type RelaySettings = {
  @description('Optional. METRICS_RESOURCE_ID: resource of points that name none, and of the relay\'s metrics about itself; by default, the function app. Add it to publishTo too.')
  resourceId: string?

  @description('Optional. METRICS_REGION: region of that resource. By default, the region of the function app; with a resourceId, a look-up, for which lookUpRegionsIn must contain it.')
  region: string?

  @description('Optional. METRICS_NAMESPACE: namespace of points that name none.')
  @minLength(1)
  @maxLength(256)
  namespace: string?

  @description('Optional. METRICS_ALLOWED_SCOPES: prefixes of resource IDs that the app may publish to; publishTo by default.')
  @minLength(1)
  allowedScopes: string[]?

  @description('Optional. METRICS_ENDPOINT: ingestion endpoint; {region} stands for the region.')
  endpoint: string?

  @description('Optional. METRICS_AUDIENCE: audience of the tokens for it.')
  audience: string?

  @description('Optional. METRICS_PAST_MINUTES: maximum age of a point.')
  @minValue(1)
  @maxValue(30)
  pastMinutes: int?

  @description('Optional. METRICS_FUTURE_MINUTES: maximum lead of a point.')
  @minValue(0)
  @maxValue(5)
  futureMinutes: int?

  @description('Optional. METRICS_MAX_BODY_BYTES: maximum bytes of a request body, uncompressed.')
  @minValue(65536)
  @maxValue(4000000)
  maxBodyBytes: int?

  @description('Optional. METRICS_MAX_ACTIVE_SERIES: maximum active series of a subscription and region; points of further series are dead-lettered.')
  @minValue(1)
  @maxValue(1000000)
  maxActiveSeries: int?
}

@export()
@description('Time without a successful tick; longer than the interval of sampleSchedule.')
type Silence = 'PT15M' | 'PT30M' | 'PT1H' | 'PT6H'

@export()
@sealed()
@description('Values above which the alerts fire.')
type Thresholds = {
  @description('Optional. Messages in a sampled queue; 1000 by default.')
  @minValue(0)
  queueDepth: int?

  @description('Optional. Age of the oldest message of a sampled queue, in seconds; 300 by default.')
  @minValue(0)
  queueAge: int?

  @description('Optional. Seconds from enqueueing a message to its publication; 120 by default.')
  @minValue(0)
  latency: int?

  @description('Optional. Time without a successful run of the timer; PT15M by default. With a slower sampleSchedule set a longer time, or the alert never resolves.')
  silentAfter: Silence?
}
