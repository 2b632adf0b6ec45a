// Prints what Microsoft's own client reads of a metric, as JSON.
import com.azure.core.management.AzureEnvironment;
import com.azure.core.management.profile.AzureProfile;
import com.azure.core.util.Context;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.resourcemanager.monitor.MonitorManager;
import com.azure.resourcemanager.monitor.fluent.models.ResponseInner;
import com.azure.resourcemanager.monitor.models.MetricValue;
import com.azure.resourcemanager.monitor.models.TimeSeriesElement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

public class ReadBack {
    public static void main(String[] args) {
        String emulator = args[0];
        String resourceId = args[1];
        Map<String, String> endpoints = new HashMap<>(AzureEnvironment.AZURE.getEndpoints());
        endpoints.put(AzureEnvironment.Endpoint.RESOURCE_MANAGER.identifier(), emulator);
        String subscription = resourceId.split("/")[2];
        MonitorManager manager = MonitorManager.authenticate(
                new ManagedIdentityCredentialBuilder().build(),
                new AzureProfile(null, subscription, new AzureEnvironment(endpoints)));
        ResponseInner answer = manager.serviceClient().getMetrics().listWithResponse(
                resourceId, null, null, "Orders", "Total", null, null,
                "Country eq '*'", null, "Shop", Context.NONE).getValue();
        TimeSeriesElement series = answer.value().get(0).timeseries().get(0);
        List<Double> totals = series.data().stream().map(MetricValue::total).filter(Objects::nonNull).toList();
        String country = series.metadatavalues().get(0).value();
        System.out.println("{\"arm\": {\"" + country + "\": " + totals + "}}");
    }
}
