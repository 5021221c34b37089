BEGIN TRANSACTION;
CREATE TABLE history (
    rollout TEXT NOT NULL REFERENCES rollouts (id),
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (rollout, seq)
) STRICT;
INSERT INTO "history" VALUES('orders#1',1,'{"seq":1,"at":"2026-01-05T09:00:00+00:00","kind":"started","body":{"by":"start 0","phase_from":"progressing","phase_to":"progressing","weight_from":0,"weight_to":10,"step":0,"reason":"started","sentence":"started with revision EkxPAwtg3bdp; going to 10 %","findings":[],"cause":{"verb":"start","retry_reason":null,"adopted":null,"policy_digest":"2d86e242f8b25a40d89eb29147d3129eb07713749075a8b74b8e4b080778a597","target":{"kind":"lambda-env","function":"handler","percentage":"PERCENTAGE","boolean":"ENABLED"}},"state":{"phase":"progressing","since":"2026-01-05T09:00:00Z","position":{"kind":"pending","step":0,"weight":10,"previous":0,"token":"27626928-ff48-4f6f-aed2-11209fc0df19","decided":"2026-01-05T09:00:00Z","live":null},"id":"orders#1","revision":"EkxPAwtg3bdpeSNu/k1VtZJoPmM1psoUk3EBCCpOQEY=","digest":"2d86e242f8b25a40d89eb29147d3129eb07713749075a8b74b8e4b080778a597","target":"arn:aws:lambda:us-east-1:123456789012:function:handler","created":"2026-01-05T09:00:00Z","fold":"sha256:a2d0df1c6198de726792d68c45235ccef4350d701d2536ca52fb36ac2fdefda4"},"observation":{"target":{"identity":"arn:aws:lambda:us-east-1:123456789012:function:handler","weight":0,"variables":"PERCENTAGE=0, ENABLED=false","token":"27626928-ff48-4f6f-aed2-11209fc0df19","update":"successful","detail":""},"series":{},"memory":{"seen_weight":0,"tried":"2026-01-05T09:00:00+00:00"}}},"previous":"","hash":"d331e4bcb01ab3104d121cab635ab0f4f41596a32a8b0f508eea40b410fdd76d"}');
CREATE TABLE locks (
    lock TEXT PRIMARY KEY,
    rollout TEXT NOT NULL REFERENCES rollouts (id)
) STRICT;
INSERT INTO "locks" VALUES('arn:aws:lambda:us-east-1:123456789012:function:handler#PERCENTAGE','orders#1');
INSERT INTO "locks" VALUES('arn:aws:lambda:us-east-1:123456789012:function:handler#ENABLED','orders#1');
CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    target TEXT NOT NULL,
    created TEXT NOT NULL,
    version INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    watch_until TEXT,
    exposed_from TEXT,
    exposed_to TEXT,
    policy TEXT NOT NULL,
    state TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    holder TEXT,
    lease_until TEXT
) STRICT;
INSERT INTO "rollouts" VALUES('orders#1','orders',1,'arn:aws:lambda:us-east-1:123456789012:function:handler','2026-01-05T09:00:00+00:00',1,0,NULL,'2026-01-05T09:00:00+00:00',NULL,'{"criteria":{"works":{"failure_limit":2,"failures":["client_errors","server_errors"],"judge":"threshold","kind":"success_rate","min":"99%","min_samples":50,"total":"requests","window":"1m"}},"evaluation_delay":"2m","max_hold":"0s","max_wait":"0s","metrics":{"client_errors":{"dimensions":{"ApiName":"orders"},"missing":"unknown","name":"4XXError","namespace":"AWS/ApiGateway","statistic":"Sum","unit":""},"requests":{"dimensions":{"ApiName":"orders"},"missing":"unknown","name":"Count","namespace":"AWS/ApiGateway","statistic":"Sum","unit":""},"server_errors":{"dimensions":{"ApiName":"orders"},"missing":"unknown","name":"5XXError","namespace":"AWS/ApiGateway","statistic":"Sum","unit":""}},"name":"orders","on_drift_up":"pause","on_inconclusive":"advance","rollback_timeout":"1m","shift_timeout":"2m","steps":[{"bake":"3m","weight":10},{"bake":"3m","weight":100}],"summary":"","target":{"boolean":"ENABLED","function":"handler","kind":"lambda-env","percentage":"PERCENTAGE"},"version":1,"warmup":"0s"}','{"schema":1,"id":"orders#1","revision":"EkxPAwtg3bdpeSNu/k1VtZJoPmM1psoUk3EBCCpOQEY=","digest":"2d86e242f8b25a40d89eb29147d3129eb07713749075a8b74b8e4b080778a597","target":"arn:aws:lambda:us-east-1:123456789012:function:handler","state":{"phase":"progressing","since":"2026-01-05T09:00:00Z","reason":"started","sentence":"started with revision EkxPAwtg3bdp; going to 10 %","position":{"kind":"pending","step":0,"weight":10,"previous":0,"token":"27626928-ff48-4f6f-aed2-11209fc0df19","decided":"2026-01-05T09:00:00Z","first_look":null,"tried":"2026-01-05T09:00:00Z","accepted":"2026-01-05T09:00:30Z","live":null},"hold_from":null,"block":null},"created":"2026-01-05T09:00:00Z","updated":"2026-01-05T09:00:30Z","evidence":{"baselines":{},"sign_offs":{},"tallies":{},"checkpoint_at":null,"fold":{"version":8,"through":0,"capitals":{},"controls":{},"rejections":{},"onsets":{}},"intervals":[],"findings":[],"earlier_findings":[],"label":""},"seen_weight":0,"exposed_to":null,"conditions":{},"approved":0,"outbox":[],"write_error":"","entries":1,"chain":"d331e4bcb01ab3104d121cab635ab0f4f41596a32a8b0f508eea40b410fdd76d","state_digest":"e2e450c1","version":1}',1,NULL,NULL);
COMMIT;
PRAGMA application_id = 1919708276;
PRAGMA user_version = 2;
