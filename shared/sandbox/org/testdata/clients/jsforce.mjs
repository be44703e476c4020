// Flows of jsforce against the org sandbox: one line of JSON for each, its result or its error.
import crypto from 'node:crypto';
import { createRequire } from 'node:module';

// Installed elsewhere, where NODE_PATH leads.
const jsforce = createRequire(process.env.ORG_MODULES + '/')('jsforce');
const base = process.env.ORG_URL;
const credentials = JSON.parse(process.env.ORG_CREDENTIALS);
const version = '66.0';
const alpha = '0015f0000200001AAA', beta = '0015f0000200002AAA', gone = '0015f0000299999AAA';

async function flow(name, run) {
  let line;
  try {
    line = { flow: name, result: (await run()) ?? null };
  } catch (e) {
    line = { flow: name, error: `${e.errorCode ?? e.name}: ${e.message}` };
  }
  console.log(JSON.stringify(line));
}

const connection = (clientSecret) => new jsforce.Connection({ oauth2: { loginUrl: base, clientId: credentials.consumerKey, clientSecret }, instanceUrl: base, version });
const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
function assertion(aud) {
  const text = part({ alg: 'RS256' }) + '.' + part({ iss: credentials.consumerKey, sub: credentials.username, aud, exp: Math.floor(Date.now() / 1000) + 180 });
  return text + '.' + crypto.sign('RSA-SHA256', Buffer.from(text), credentials.privateKey).toString('base64url');
}
const jwt = (aud) => ({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertion(aud) });

const c = connection(credentials.consumerSecret);
await flow('client credentials', async () => (await c.authorize({ grant_type: 'client_credentials' })).organizationId);
await flow('client credentials refused', () => connection('wrong').authorize({ grant_type: 'client_credentials' }));
await flow('jwt', async () => (await c.authorize(jwt(base))).id);
await flow('jwt refused', () => connection('').authorize(jwt('https://example.com')));
await flow('identity', async () => (await c.identity()).username);
await flow('query', async () => (await c.query(`SELECT Id, Name FROM Account WHERE Id = '${alpha}'`)).records[0].Name);
await flow('query in pages', async () => (await c.query('SELECT Id FROM Account', { autoFetch: true, maxFetch: 10000 })).records.length);
await flow('query of a wrong field', () => c.query('SELECT Nope FROM Account'));
await flow('query with children', async () => (await c.query(`SELECT Account.Name, (SELECT ProductCode FROM OpportunityLineItems) FROM Opportunity WHERE Name = 'Alpha widgets'`)).records[0].OpportunityLineItems.records.length);
await flow('retrieve one', async () => (await c.sobject('Account').retrieve(alpha)).Name);
await flow('retrieve many', async () => (await c.sobject('Account').retrieve([alpha, beta])).map((r) => r.Name));
await flow('retrieve what is missing', () => c.sobject('Account').retrieve(gone));
const many = (fields) => c.requestPost(`/services/data/v${version}/composite/sobjects/Account`, { ids: [alpha, gone], fields });
await flow('many by id', async () => (await many(['Name'])).map((r) => r && r.Name));
await flow('many by id, a wrong field', () => many(['Nope']));
await flow('describe', async () => (await c.describe('Account')).fields.find((f) => f.name === 'OwnerId').referenceTo);
await flow('global describe', async () => (await c.describeGlobal()).sobjects.some((o) => o.name === 'Opportunity'));
await flow('limits', async () => (await c.limits()).DailyApiRequests.Max);
await flow('limit info', async () => c.limitInfo.apiUsage.limit);
await flow('update', async () => (await c.sobject('Account').update({ Id: beta, Phone: '+49 30 0000 78' })).success);
const from = new Date(Date.now() - 5 * 60e3), to = new Date(Date.now() + 2 * 60e3);
await flow('updated', async () => (await c.sobject('Account').updated(from, to)).ids.includes(beta));
await flow('deleted', async () => (await c.sobject('Account').deleted(from, to)).deletedRecords.length);
const channel = { FullName: 'Node__chn', Metadata: { channelType: 'data', label: 'Node' } };
await flow('tooling create', async () => (await c.tooling.sobject('PlatformEventChannel').create(channel)).id.length);
await flow('tooling duplicate', () => c.tooling.sobject('PlatformEventChannel').create(channel));
await flow('tooling query', async () => (await c.tooling.query(`SELECT DeveloperName FROM PlatformEventChannel WHERE DeveloperName = 'Node'`)).records.length);
await flow('feedback', async () => (await c.query('SELECT Status, RemoteResource FROM EventRelayFeedback')).totalSize);
await flow('publish', async () => (await c.sobject('Inventory_Update__e').create({ SKU__c: 'SKU-1', Warehouse__c: 'BER', Quantity_On_Hand__c: 5 })).errors[0].statusCode);
await flow('bulk query', async () => (await (await c.bulk2.query('SELECT Id, Name FROM Account')).toArray()).length);
await flow('metadata describe', async () => (await c.metadata.describe(version)).metadataObjects.some((m) => m.xmlName === 'EventRelayConfig'));
await flow('soap login', async () => (await new jsforce.Connection({ loginUrl: base, version }).login(credentials.username, credentials.password)).organizationId);
await flow('soap login refused', () => new jsforce.Connection({ loginUrl: base, version }).login(credentials.username, 'wrong'));
