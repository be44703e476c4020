// A worker for make compare: AWS Lambda Powertools for TypeScript (idempotency).
//
// Every line of standard input is one invocation, every line of standard output its end. As
// many run at a time as SLOTS says, each with a persistence layer of its own, as the instances
// of a function have.
const http = require('node:http');
const readline = require('node:readline');
const { IdempotencyConfig, makeIdempotent } = require('@aws-lambda-powertools/idempotency');
const { DynamoDBPersistenceLayer } = require('@aws-lambda-powertools/idempotency/dynamodb');
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');

const { ENDPOINT, SINK, SLOTS, TABLE, TIMEOUT_MS } = process.env;
const client = new DynamoDBClient({ endpoint: ENDPOINT });
const agent = new http.Agent({ keepAlive: true });

const call = (method, path, body, key) =>
  new Promise((resolve, reject) => {
    const request = http.request(SINK + path, { method, agent, headers: { 'Idempotency-Key': key } }, (answer) => {
      answer.resume();
      answer.on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`the sink answered ${answer.statusCode}`))));
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });

const effect = async (event, context) => {
  const { job } = context;
  if (job.effect === 'none') return;
  if (job.effect === 'fail') throw new Error('the sink is down');
  const { payload } = event.detail;
  const key = event.detail.event.EventUuid;
  if (job.to === 'act') {
    await call('POST', `/act/${job.case}`, {}, key);
  } else if (job.to === 'state') {
    await call('PUT', `/state/${job.case}`, { Level: payload.Level__c }, key);
  } else {
    const names = payload.ChangeEventHeader.changedFields.filter((name) => ['Name', 'Phone', 'Website'].includes(name));
    await call('PATCH', `/fields/${job.case}`, Object.fromEntries(names.map((name) => [name, payload[name]])), key);
  }
};

const handlers = Array.from({ length: Number(SLOTS) }, () =>
  makeIdempotent(effect, {
    config: new IdempotencyConfig({ eventKeyJmesPath: 'detail.event.EventUuid', throwOnNoIdempotencyKey: true }),
    persistenceStore: new DynamoDBPersistenceLayer({ tableName: TABLE, keyAttr: 'pk', awsSdkV3Client: client }),
  })
);

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

const run = async (job) => {
  const handler = handlers.pop(); // the driver never has more of them under way than there are
  try {
    await handler(job.event, { job, functionName: 'peer', getRemainingTimeInMillis: () => Number(TIMEOUT_MS) });
    say({ id: job.id });
  } catch (error) {
    say({ id: job.id, error: `${error.name}: ${error.message}`.slice(0, 300) });
  } finally {
    handlers.push(handler);
  }
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const job = JSON.parse(line);
  if (job.to === 'clock') {
    const { user, system } = process.cpuUsage();
    say({ id: job.id, cpu: user + system });
  } else {
    run(job);
  }
});
