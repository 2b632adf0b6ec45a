// Where the app's logs go: a Log Analytics workspace, and an Application Insights component on it.

@description('Required. Where the resources are created.')
param location string

@description('Required. What their names begin with.')
param name string

@description('Optional. Tags of the resources.')
param tags { *: string } = {}

@description('Optional. Days that logs are kept.')
@minValue(30)
@maxValue(730)
param retentionInDays int = 30

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionInDays
    features: {
      disableLocalAuth: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    // The app signs in with its identity; the key in the connection string opens nothing.
    DisableLocalAuth: true
  }
}

@description('ID of the Log Analytics workspace.')
output workspaceId string = workspace.id

@description('Name of the Application Insights component.')
output insightsName string = insights.name
