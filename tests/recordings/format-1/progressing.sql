BEGIN TRANSACTION;
CREATE TABLE history (
    rollout TEXT NOT NULL REFERENCES rollouts (id),
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (rollout, seq)
) STRICT;
INSERT INTO "history" VALUES('orders#1',1,'{"seq":1,"at":"2026-01-05T08:59:00+00:00","kind":"started","body":{"by":"start 0","phase_from":"progressing","phase_to":"progressing","weight_from":0,"weight_to":1,"step":0,"reason":"started","sentence":"started with revision EkxPAwtg3bdp; going to 1 %","findings":[],"cause":{"verb":"start","retry_reason":null,"adopted":null,"policy_digest":"f41bd22b6ca52506a2378ea3b416edb2b437c8d041eeaecd08cbc77978b4af10","target":{"kind":"lambda-env","function":"handler","percentage":"PERCENTAGE","boolean":null}},"state":{"phase":"progressing","since":"2026-01-05T08:59:00Z","position":{"kind":"pending","step":0,"weight":1,"previous":0,"token":"dadc7fcb-8d85-4c6e-83c1-af3ddafb4027","decided":"2026-01-05T08:59:00Z","live":null},"id":"orders#1","revision":"EkxPAwtg3bdpeSNu/k1VtZJoPmM1psoUk3EBCCpOQEY=","digest":"f41bd22b6ca52506a2378ea3b416edb2b437c8d041eeaecd08cbc77978b4af10","target":"arn:aws:lambda:us-east-1:123456789012:function:handler","created":"2026-01-05T08:59:00Z","fold":"sha256:a2d0df1c6198de726792d68c45235ccef4350d701d2536ca52fb36ac2fdefda4"},"observation":{"target":{"identity":"arn:aws:lambda:us-east-1:123456789012:function:handler","weight":0,"variables":"PERCENTAGE=0","token":"dadc7fcb-8d85-4c6e-83c1-af3ddafb4027","update":"successful","detail":""},"series":{},"memory":{"seen_weight":0,"tried":"2026-01-05T08:59:00+00:00"}}},"previous":"","hash":"c42fc71bd3bc30bf4a71e9817cdce7f2bffc6cfe059950dc2b947ecf4b81ad39"}');
INSERT INTO "history" VALUES('orders#1',2,'{"seq":2,"at":"2026-01-05T08:59:12+00:00","kind":"applied","body":{"by":"start 0","phase_from":"progressing","phase_to":"progressing","weight_from":1,"weight_to":1,"step":0,"reason":"applied","sentence":"1 % is applied; baking at 1 % until 2026-01-05 09:04 UTC","findings":[],"state":{"phase":"progressing","since":"2026-01-05T08:59:00Z","position":{"kind":"live","step":0,"weight":1,"since":"2026-01-05T08:59:12Z"},"id":"orders#1","revision":"EkxPAwtg3bdpeSNu/k1VtZJoPmM1psoUk3EBCCpOQEY=","digest":"f41bd22b6ca52506a2378ea3b416edb2b437c8d041eeaecd08cbc77978b4af10","target":"arn:aws:lambda:us-east-1:123456789012:function:handler","created":"2026-01-05T08:59:00Z","fold":"sha256:a2d0df1c6198de726792d68c45235ccef4350d701d2536ca52fb36ac2fdefda4"},"observation":{"target":{"identity":"arn:aws:lambda:us-east-1:123456789012:function:handler","weight":1,"variables":"PERCENTAGE=1","token":"061c2bd7-0d7d-4603-8518-58fe09113219","update":"successful","detail":""},"series":{},"memory":{"seen_weight":0,"tried":"2026-01-05T08:59:00+00:00"}}},"previous":"c42fc71bd3bc30bf4a71e9817cdce7f2bffc6cfe059950dc2b947ecf4b81ad39","hash":"2adaf477c5c18b66c9a2234d4f1626ca795097284308cb6c22f77afc39351afd"}');
CREATE TABLE locks (
    lock TEXT PRIMARY KEY,
    rollout TEXT NOT NULL REFERENCES rollouts (id)
) STRICT;
INSERT INTO "locks" VALUES('arn:aws:lambda:us-east-1:123456789012:function:handler#PERCENTAGE','orders#1');
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
INSERT INTO "rollouts" VALUES('orders#1','orders',1,'arn:aws:lambda:us-east-1:123456789012:function:handler','2026-01-05T08:59:00+00:00',2,0,NULL,'2026-01-05T08:59:00+00:00',NULL,'{"criteria":{"works":{"failure_limit":1,"failures":["client_errors","server_errors"],"judge":"threshold","kind":"success_rate","min":"99%","min_samples":50,"total":"requests","window":"1m"}},"evaluation_delay":"2m","max_hold":"1m","max_wait":"0s","metrics":{"client_errors":{"dimensions":{"ApiName":"orders"},"missing":"unknown","name":"4XXError","namespace":"AWS/ApiGateway","statistic":"Sum","unit":""},"requests":{"dimensions":{"ApiName":"orders"},"missing":"unknown","name":"Count","namespace":"AWS/ApiGateway","statistic":"Sum","unit":""},"server_errors":{"dimensions":{"ApiName":"orders"},"missing":"unknown","name":"5XXError","namespace":"AWS/ApiGateway","statistic":"Sum","unit":""}},"name":"orders","on_drift_up":"pause","on_inconclusive":"rollback","rollback_timeout":"5m","shift_timeout":"1m","steps":[{"bake":"3m","weight":1},{"bake":"1m","weight":100}],"summary":"","target":{"function":"handler","kind":"lambda-env","percentage":"PERCENTAGE"},"version":1,"warmup":"1m"}','{"schema":1,"id":"orders#1","revision":"EkxPAwtg3bdpeSNu/k1VtZJoPmM1psoUk3EBCCpOQEY=","digest":"f41bd22b6ca52506a2378ea3b416edb2b437c8d041eeaecd08cbc77978b4af10","target":"arn:aws:lambda:us-east-1:123456789012:function:handler","state":{"phase":"progressing","since":"2026-01-05T08:59:00Z","reason":"baking","sentence":"baking at 1 % until 2026-01-05 09:04 UTC","position":{"kind":"live","step":0,"weight":1,"since":"2026-01-05T08:59:12Z"},"hold_from":null,"block":null},"created":"2026-01-05T08:59:00Z","updated":"2026-01-05T09:01:00Z","evidence":{"baselines":{},"sign_offs":{},"tallies":{},"checkpoint_at":null,"fold":{"version":8,"through":0,"capitals":{},"controls":{},"rejections":{},"onsets":{}},"intervals":[],"findings":[],"earlier_findings":[],"label":""},"seen_weight":1,"exposed_to":null,"conditions":{},"approved":0,"outbox":[],"write_error":"","entries":2,"chain":"2adaf477c5c18b66c9a2234d4f1626ca795097284308cb6c22f77afc39351afd","state_digest":"7e3c3496","version":2}',2,NULL,NULL);
COMMIT;
PRAGMA application_id = 1919708276;
PRAGMA user_version = 2;
