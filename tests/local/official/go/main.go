// Prints what Microsoft's own client reads of a metric, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/monitor/azquery"
)

func main() {
	emulator, resourceID := os.Args[1], os.Args[2]
	credential, err := azidentity.NewManagedIdentityCredential(nil)
	if err != nil {
		log.Fatal(err)
	}
	service := cloud.ServiceConfiguration{Endpoint: emulator, Audience: "https://management.azure.com"}
	client, err := azquery.NewMetricsClient(credential, &azquery.MetricsClientOptions{
		ClientOptions: azcore.ClientOptions{Cloud: cloud.Configuration{
			Services: map[cloud.ServiceName]cloud.ServiceConfiguration{azquery.ServiceNameMetrics: service},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.QueryResource(context.Background(), resourceID,
		&azquery.MetricsClientQueryResourceOptions{
			Aggregation:     []*azquery.AggregationType{to.Ptr(azquery.AggregationTypeTotal)},
			Filter:          to.Ptr("Country eq '*'"),
			MetricNames:     to.Ptr("Orders"),
			MetricNamespace: to.Ptr("Shop"),
		})
	if err != nil {
		log.Fatal(err)
	}
	arm := map[string][]float64{}
	for _, series := range answer.Value[0].TimeSeries {
		country := *series.MetadataValues[0].Value
		for _, value := range series.Data {
			if value.Total != nil {
				arm[country] = append(arm[country], *value.Total)
			}
		}
	}
	text, err := json.Marshal(map[string]any{"arm": arm})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}
