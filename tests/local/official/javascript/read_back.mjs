// Prints what Microsoft's own clients read of a metric, as JSON.
import { MonitorClient } from "@azure/arm-monitor";
import { ManagedIdentityCredential } from "@azure/identity";
import { MetricsClient } from "@azure/monitor-query-metrics";

const [emulator, resourceId] = process.argv.slice(2);
const credential = new ManagedIdentityCredential();

const metrics = new MetricsClient(`${emulator}/westeurope`, credential, {
  audience: "https://metrics.monitor.azure.com/.default",
});
const [result] = await metrics.queryResources([resourceId], ["Orders"], "Shop", {
  aggregation: "Total,Count",
  filter: "Country eq '*'",
});
const batch = Object.fromEntries(
  result.metrics[0].timeseries.map((each) => [
    each.metadatavalues[0].value,
    each.data.filter((value) => value.total !== undefined).map((value) => value.total),
  ]),
);

const subscription = resourceId.split("/")[2];
const management = new MonitorClient(credential, subscription, { endpoint: emulator });
const answer = await management.metrics.list(resourceId, {
  timespan: `${new Date(Date.now() - 3600_000).toISOString()}/PT2H`,
  interval: "P1D",
  metricnames: "Orders",
  metricnamespace: "Shop",
  aggregation: "Total",
});
const arm = answer.value[0].timeseries[0].data[0].total;
const definitions = [];
for await (const each of management.metricDefinitions.list(resourceId, { metricnamespace: "Shop" })) {
  definitions.push(each.name.value);
}
console.log(JSON.stringify({ batch, arm, definitions }));
