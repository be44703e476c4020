"""Flows of simple-salesforce against the org sandbox: one line of JSON for each, its result or its error.

The library builds the address https://DOMAIN.salesforce.com by itself; an adapter leads it to the sandbox.
"""
import datetime
import json
import os
import re
import tempfile
import zipfile

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, SalesforceLogin

BASE = os.environ["ORG_URL"]
CREDENTIALS = json.loads(os.environ["ORG_CREDENTIALS"])
ALPHA, GONE = "0015f0000200001AAA", "0015f0000299999AAA"


class ToTheSandbox(HTTPAdapter):
    def send(self, request, **kwargs):
        request.url = re.sub(r"^https://[\w.-]+\.salesforce\.com", BASE, request.url)
        kwargs["verify"] = os.environ["ORG_CA"]
        return super().send(request, **kwargs)


session = requests.Session()
session.trust_env = False
session.mount("https://", ToTheSandbox())


def flow(name, do):
    try:
        line = {"flow": name, "result": do()}
    except Exception as e:  # whatever the library makes of it
        line = {"flow": name, "error": type(e).__name__ + ": " + str(e)}
    print(json.dumps(line, default=str), flush=True)
    return line.get("result")


def login(**how):
    token, instance = SalesforceLogin(session=session, **how)
    return {"token": bool(token), "instance": instance == BASE.removeprefix("https://")}


def window():
    now = datetime.datetime.now(datetime.timezone.utc)
    return now - datetime.timedelta(minutes=5), now + datetime.timedelta(minutes=2)


def deploy():
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "p.zip")
        with zipfile.ZipFile(name, "w") as z:
            z.writestr("package.xml", "<Package/>")
            z.writestr("eventRelays/Changes.eventRelay", "<EventRelayConfig/>")
        made = sf.deploy(name, sandbox=True)
        status = sf.checkDeployStatus(made["asyncId"])
        return {"length": len(made["asyncId"]), "state": made["state"], "then": status["state"], "deployed": status["deployment_detail"]["deployed_count"]}


with tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
    key.write(CREDENTIALS["privateKey"])
    key.flush()
    flow("client credentials", lambda: login(consumer_key=CREDENTIALS["consumerKey"], consumer_secret=CREDENTIALS["consumerSecret"], domain="org.my"))
    flow("client credentials refused", lambda: login(consumer_key=CREDENTIALS["consumerKey"], consumer_secret="wrong", domain="org.my"))
    flow("jwt", lambda: login(username=CREDENTIALS["username"], consumer_key=CREDENTIALS["consumerKey"], privatekey_file=key.name))
    flow("jwt refused", lambda: login(username="nobody@sfrelay.example", consumer_key=CREDENTIALS["consumerKey"], privatekey_file=key.name))
flow("soap login", lambda: login(username=CREDENTIALS["username"], password=CREDENTIALS["password"], security_token=""))
flow("soap login refused", lambda: login(username=CREDENTIALS["username"], password="wrong", security_token=""))

token, instance = SalesforceLogin(session=session, username=CREDENTIALS["username"], password=CREDENTIALS["password"], security_token="")
sf = Salesforce(instance=instance, session_id=token, session=session, version="66.0")
names = lambda r: [x["Name"] for x in r["records"]]

flow("query", lambda: names(sf.query(f"SELECT Id, Name FROM Account WHERE Id = '{ALPHA}'")))
flow("query in pages", lambda: len(sf.query_all("SELECT Id FROM Account")["records"]))
flow("queryAll in pages", lambda: sum(1 for _ in sf.query_all_iter("SELECT Id FROM Account", include_deleted=True)))
flow("query of a wrong field", lambda: sf.query("SELECT Nope FROM Account"))
flow("get", lambda: sf.Account.get(ALPHA)["Name"])
flow("get what is missing", lambda: sf.Account.get(GONE))
flow("describe", lambda: next(f["type"] for f in sf.Account.describe()["fields"] if f["name"] == "BillingAddress"))
flow("global describe", lambda: "Opportunity" in [o["name"] for o in sf.describe()["sobjects"]])
flow("limits", lambda: sf.limits()["DailyApiRequests"]["Max"])
flow("limit info", lambda: sf.api_usage["api-usage"].total)
flow("many by id", lambda: [r and r["Name"] for r in sf.restful("composite/sobjects/Account", method="POST", json={"ids": [ALPHA, GONE], "fields": ["Name"]})])
flow("update", lambda: sf.Account.update(ALPHA, {"Phone": "+49 30 0000 77"}))
flow("updated", lambda: ALPHA in sf.Account.updated(*window())["ids"])
flow("deleted", lambda: len(sf.Account.deleted(*window())["deletedRecords"]))
channel = {"FullName": "Python__chn", "Metadata": {"channelType": "data", "label": "Python"}}
flow("tooling create", lambda: len(sf.toolingexecute("sobjects/PlatformEventChannel", method="POST", data=channel)["id"]))
flow("tooling duplicate", lambda: sf.toolingexecute("sobjects/PlatformEventChannel", method="POST", data=channel))
flow("tooling query", lambda: [r["DeveloperName"] for r in sf.toolingexecute("query", params={"q": "SELECT DeveloperName FROM PlatformEventChannel WHERE DeveloperName = 'Python'"})["records"]])
flow("bulk query", lambda: sum(page.count("\n") - 1 for page in sf.bulk2.Account.query("SELECT Id FROM Account", max_records=3000)))
flow("publish", lambda: sf.Inventory_Update__e.create({"SKU__c": "SKU-1", "Warehouse__c": "BER", "Quantity_On_Hand__c": 5})["errors"][0]["statusCode"])
flow("deploy", deploy)
