// A Log Analytics workspace and an Application Insights component for the app's logs.

@description('Required. Location of the resources.')
param location string

@description('Required. Prefix of their names.')
param name string

@description('Optional. Tags of the resources.')
param tags { *: string } = {}

@description('Optional. Retention of logs, in days.')
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
    // The app authenticates with its identity; the key in the connection string gives no access.
    DisableLocalAuth: true
  }
}

@description('ID of the Log Analytics workspace.')
output workspaceId string = workspace.id

@description('Name of the Application Insights component.')
output insightsName string = insights.name
