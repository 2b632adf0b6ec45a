"""Situations of a storage connection `C`: what the Functions host does, and what the relay does.

The host is the stand-in under local/functions; the relay goes to the account of the host, or
refuses with a sentence.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SITUATIONS", "Situation"]

KEY = "c2VjcmV0LWFjY291bnQta2V5"
_STRING = f"DefaultEndpointsProtocol=https;AccountName={{}};AccountKey={KEY}"
STRING_ONE, STRING_TWO = _STRING.format("one"), _STRING.format("two")
SAS = "QueueEndpoint=https://one.queue.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D"
ONE, TWO = (f"https://{account}.queue.core.windows.net/" for account in ("one", "two"))
AZURITE = "http://127.0.0.1:10001/devstoreaccount1/"
NOT_SET = (
    "C is not set, nor C__queueServiceUri, nor C__accountName: expected a storage connection "
    "string or the URL of an account's queue service"
)
EMPTY = (
    " is empty: remove it, or set it to a storage connection string; the Functions host looks no "
    "further than a setting that exists"
)
MEMBERS = (
    "expected one of queueServiceUri, serviceUri, accountName, credential, clientId, "
    "managedIdentityResourceId"
)
A_URL = "expected a URL such as https://….queue.core.windows.net"
NO_ACCOUNT = "C names no account: set C__queueServiceUri or C__accountName"
DIFFER = "remove one of them; versions of the Functions host differ in which they use"
RESOURCE_ID = "C__managedIdentityResourceId needs C__credential=managedidentity and no C__clientId"


class Situation(NamedTuple):
    """App settings, the account that the host uses, and the relay's error, if it refuses."""

    settings: dict[str, str]
    host: str | None  # None: the host disables the function.
    error: str | None = None


SITUATIONS = {
    # A connection string.
    "string": Situation({"C": STRING_ONE}, ONE),
    "line feed after it": Situation({"C": f"{SAS}\n"}, ONE),
    "signature": Situation({"C": SAS}, ONE),
    "emulator": Situation({"C": "UseDevelopmentStorage=true"}, AZURITE),
    "emulator in another case": Situation({"C": "usedevelopmentstorage=TRUE;"}, AZURITE),
    "emulator in a container": Situation(
        {"C": "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite"},
        "http://azurite:10001/devstoreaccount1/",
    ),
    "emulator in a container, the port ignored": Situation(
        {"C": "DevelopmentStorageProxyUri=http://azurite:8080/;UseDevelopmentStorage=true"},
        "http://azurite:10001/devstoreaccount1/",
    ),
    "string before members": Situation({"C": STRING_ONE, "C__accountName": "two"}, ONE),
    # Which section.
    "prefix": Situation({"AzureWebJobsC": STRING_ONE}, ONE),
    "prefix first": Situation({"AzureWebJobsC": STRING_ONE, "C": STRING_TWO}, ONE),
    "section with the prefix before a string": Situation(
        {"AzureWebJobsC__queueServiceUri": ONE, "C": STRING_TWO}, ONE
    ),
    "sections are not merged": Situation(
        {"AzureWebJobsC__credential": "managedidentity", "C__accountName": "one"},
        None,
        "AzureWebJobsC names no account: set AzureWebJobsC__queueServiceUri or "
        "AzureWebJobsC__accountName",
    ),
    "empty string with the prefix": Situation(
        {"AzureWebJobsC": "", "C": STRING_ONE}, None, f"AzureWebJobsC{EMPTY}"
    ),
    "empty string before members": Situation({"C": "", "C__accountName": "one"}, None, f"C{EMPTY}"),
    "blank string": Situation({"C": " "}, None, f"C{EMPTY}"),
    "ConnectionStrings": Situation({"ConnectionStrings__C": STRING_ONE}, ONE),
    "ConnectionStrings with a colon": Situation({"ConnectionStrings:C": STRING_ONE}, ONE),
    "ConnectionStrings of an identity": Situation(
        {"ConnectionStrings__AzureWebJobsC__accountName": "one"}, ONE
    ),
    "ConnectionStrings beside another": Situation(
        {"ConnectionStrings__C": STRING_ONE, "C": STRING_TWO},
        ONE,
        "ConnectionStrings__C and C are both set: remove one of them",
    ),
    "ConnectionStrings beside the prefix": Situation(
        {"ConnectionStrings__C": STRING_TWO, "AzureWebJobsC": STRING_ONE},
        ONE,
        "AzureWebJobsC and ConnectionStrings__C are both set: remove one of them",
    ),
    "connection string of the App Service": Situation(
        {"CUSTOMCONNSTR_C": STRING_ONE},
        None,
        f"{NOT_SET}; the Functions host does not read CUSTOMCONNSTR_C: make it the app setting C",
    ),
    "nothing": Situation({"D": STRING_ONE, "D__accountName": "one", "CC": "x"}, None, NOT_SET),
    "another case": Situation(
        {"c": STRING_ONE},
        None,
        f"{NOT_SET}; the Functions host does not read c: make it the app setting C",
    ),
    # Members.
    "URI": Situation({"C__queueServiceUri": "https://one.queue.core.windows.net"}, ONE),
    "URI with a colon": Situation({"C:queueServiceUri": ONE}, ONE),
    "URI of Azurite": Situation(
        {"C__queueServiceUri": "https://127.0.0.1:10001/devstoreaccount1"},
        "https://127.0.0.1:10001/devstoreaccount1/",
    ),
    "URI of no service": Situation({"C__serviceUri": ONE}, ONE),
    "URI of the service first": Situation({"C__serviceUri": TWO, "C__queueServiceUri": ONE}, ONE),
    "URIs of all services": Situation(
        {
            "C__blobServiceUri": "https://one.blob.core.windows.net",
            "C__queueServiceUri": ONE,
            "C__tableServiceUri": "https://one.table.core.windows.net",
        },
        ONE,
    ),
    "account": Situation({"C__accountName": "one"}, ONE),
    "account and its URI": Situation(
        {"C__accountName": "one", "C__queueServiceUri": "https://One.queue.core.windows.net"},
        "https://One.queue.core.windows.net/",
    ),
    "account and the URI of another": Situation(
        {"C__accountName": "two", "C__queueServiceUri": ONE},
        ONE,
        f"C__accountName is 'two' and the URL '{ONE}': {DIFFER}",
    ),
    "URI of blobs alone": Situation(
        {"C__blobServiceUri": "https://one.blob.core.windows.net"}, None, NO_ACCOUNT
    ),
    "identity without an account": Situation(
        {"C__credential": "managedidentity"}, None, NO_ACCOUNT
    ),
    "empty URI": Situation(
        {"C__queueServiceUri": ""}, None, "C__queueServiceUri is empty: remove it, or set it"
    ),
    "URI without a scheme": Situation(
        {"C__queueServiceUri": "one.queue.core.windows.net"},
        None,
        f"C__queueServiceUri is 'one.queue.core.windows.net': {A_URL}",
    ),
    "URI of blobs": Situation(
        {"C__serviceUri": "https://one.blob.core.windows.net"},
        "https://one.blob.core.windows.net/",
        "C__serviceUri is 'https://one.blob.core.windows.net': "
        f"{A_URL}, not that of the blob service",
    ),
    "URI of a queue": Situation(
        {"C__queueServiceUri": "https://one.queue.core.windows.net/metrics"},
        ONE,
        "C__queueServiceUri is 'https://one.queue.core.windows.net/metrics': remove the path; the "
        "Functions host would look for the queue in it",
    ),
    "URI in a DNS zone": Situation(
        {"C__queueServiceUri": "https://one.z01.queue.storage.azure.net/"},
        "https://one.z01.queue.storage.azure.net/",
    ),
    "URI without TLS": Situation(
        {"C__serviceUri": "http://127.0.0.1:10001/devstoreaccount1"},
        None,
        f"C__serviceUri is 'http://127.0.0.1:10001/devstoreaccount1': {A_URL}",
    ),
    "URI in place of an account": Situation(
        {"C__accountName": "one.queue.core.windows.net"},
        "https://one.queue.core.windows.net.queue.core.windows.net/",
        "C__accountName is 'one.queue.core.windows.net': expected the name of a storage account: "
        "3 to 24 letters and digits",
    ),
    "slip of the pen": Situation(
        {"C__acountName": "one"},
        None,
        f"C__acountName is not a known member of a connection: did you mean accountName? {MEMBERS}",
    ),
    "slip of the pen beside an account": Situation(
        {"C__accountName": "one", "C__clientSecret": "x"},
        ONE,
        f"C__clientSecret is not a known member of a connection: {MEMBERS}",
    ),
    "member in another case": Situation(
        {"C__accountName": "one", "C__CLIENTID": "5b2f"},
        ONE,
        "C__CLIENTID is ignored by the Functions host: names are case-sensitive on Linux; "
        "expected C__clientId",
    ),
    "section in another case": Situation(
        {"c__accountname": "one"},
        None,
        "c__accountname is ignored by the Functions host: names are case-sensitive on Linux; "
        "expected C__accountName",
    ),
    # The identity.
    "credential": Situation(
        {"C__accountName": "one", "C__credential": "managed_identity"},
        ONE,
        "C__credential is 'managed_identity': expected managedidentity, or nothing locally",
    ),
    "two identities": Situation(
        {
            "C__accountName": "one",
            "C__credential": "managedidentity",
            "C__clientId": "5b2f",
            "C__managedIdentityResourceId": "/subscriptions/…",
        },
        None,
        RESOURCE_ID,
    ),
    "resource ID without credential": Situation(
        {"C__accountName": "one", "C__managedIdentityResourceId": "/subscriptions/…"},
        ONE,
        RESOURCE_ID,
    ),
}
