-- What benchmarks/generated_exchanges.py draws, a chunk of requests at a time, in order. A draw is a hash of its own number, never
-- of a state: any chunk can be made alone, by as many threads as there are.

-- name: macros
-- A uniform draw in [0, 1), and a standard normal one (Box and Muller 1958). `n` is what is drawn for, `which` the draw.
CREATE MACRO draw(n, which) AS hash((n * 64 + which)::BIGINT + {offset}::BIGINT);
CREATE MACRO uniform(n, which) AS (draw(n, which) >> 11) / 9007199254740992.0;
CREATE MACRO normal(n, which) AS sqrt(-2 * ln(1 - uniform(n, which))) * cos(2 * pi() * uniform(n, which + 1));
CREATE MACRO digits(what, n) AS md5(what || {seed} || ':' || n);
-- UUID of version 7: 48 bits of time, the rest at random.
CREATE MACRO stamp(ms) AS lpad(lower(hex(ms)), 12, '0');
CREATE MACRO uuid7(s, d) AS s[:8] || '-' || s[9:] || '-7' || d[:3] || '-8' || d[4:6] || '-' || d[7:18];

-- name: requests
-- Five requests or so are a session, begun within 40 s; a session's unit is drawn with a density of rank ^ -1/2, so the
-- number of a unit's requests has a tail of index 2: most units come with a few, one of millions with thousands.
CREATE OR REPLACE TEMP TABLE request AS
WITH session AS (
    SELECT n, {started_at}::DOUBLE + n / {requests_per_s}::DOUBLE AS moment, n >= {second_stage} AS late,
        (n + draw(n, 0) % 2000) // 5 AS session
    FROM range({first}, {last}) AS numbers(n)
), unit AS (
    SELECT *, floor({units} * uniform(session, 1) ^ 2)::BIGINT AS unit_number FROM session
), person AS (
    SELECT *, digits('u', unit_number) AS unit, (draw(unit_number, 2) % 10000)::INTEGER AS bucket,
        uniform(unit_number, 3) AS speaks, uniform(unit_number, 4) < 0.7 AS in_app
    FROM unit
), labelled AS (
    SELECT *, digits('l', n) AS id_digits, stamp((moment * 1000)::BIGINT) AS id_stamp,
        CASE WHEN late THEN 1000 ELSE 500 END AS split,
        CASE WHEN speaks < 0.5 THEN 'en' WHEN speaks < 0.75 THEN 'hi' WHEN speaks < 0.9 THEN 'hinglish'
            WHEN speaks < 0.96 THEN 'ta' ELSE 'bn' END AS language
    FROM person
), answered AS (
    SELECT *, uuid7(id_stamp, id_digits) AS id, bucket < split AS treated,
        language = 'hinglish' AS harmed, uniform(n, 5) AS hard,
        round(400 * exp(0.5 * normal(n, 6) + 0.3 * normal(n, 8)), 2) AS control_ms,
        round(320 * exp(0.5 * normal(n, 6) + 0.3 * normal(n, 10)), 2) AS treatment_ms,
        uniform(n, 12) < 0.005 AS control_failed, uniform(n, 13) < 0.007 AS treatment_failed
    FROM labelled
)
SELECT *, right(id, 8) < '{unmirrored_from}' AS mirrored,
    -- What is hard for one is hard for the other, four times out of five; the treatment fails more, most of all in one
    -- language.
    hard >= 0.03 AND NOT control_failed AS control_valid,
    CASE WHEN uniform(n, 14) < 0.8 THEN hard ELSE uniform(n, 15) END >= (CASE WHEN harmed THEN 0.15 ELSE 0.035 END)
        AND NOT treatment_failed AS treatment_valid,
    '{{"x-language":"' || language || '","x-channel":"' || (CASE WHEN in_app THEN 'app' ELSE 'web' END) || '"}}'
        AS slices
FROM answered;

-- name: exchanges
SELECT *, (CASE WHEN treatment THEN split ELSE 10000 - split END) / 10000.0 AS propensity,
    variant AS assigned, variant AS served, '' AS fallback,
    CASE WHEN treatment THEN 'int4' ELSE 'original' END AS backend,
    'http://127.0.0.1:' || (CASE WHEN treatment THEN 9002 ELSE 9001 END) AS endpoint,
    CASE WHEN failed THEN 503 ELSE 200 END AS status, CASE WHEN failed THEN 'status' ELSE '' END AS error,
    CASE WHEN failed THEN 0 ELSE 120 END AS output_tokens, CASE WHEN failed THEN NULL ELSE 'stop' END AS finish_reason
FROM (
    SELECT n * 2 + shadow::INTEGER + 1 AS seq,
        CASE WHEN shadow THEN uuid7(id_stamp, digits('s', n)) ELSE request.id END AS id,
        moment AS "at", '{experiment}' AS experiment, 1 AS epoch, late::INTEGER AS stage, unit, bucket, split,
        treated <> shadow AS treatment, CASE WHEN treatment THEN 'treatment' ELSE 'control' END AS variant,
        CASE WHEN shadow THEN 'shadow' ELSE 'live' END AS role, CASE WHEN mirrored THEN request.id ELSE '' END AS pair,
        mirrored AND n % 2 = 0 AS shadow_first,
        CASE WHEN treatment THEN treatment_failed ELSE control_failed END AS failed,
        CASE WHEN treatment THEN treatment_ms ELSE control_ms END AS latency_ms, latency_ms AS ttft_ms,
        'openai' AS protocol, 'POST' AS method, '/v1/chat/completions' AS path, 900 AS bytes_in, 1200 AS bytes_out,
        false AS stream, slices, 80 AS input_tokens, false AS tokens_estimated, false AS truncated, false AS cached,
        'generated' AS model, 0 AS tool_calls, NULL AS inter_token_ms, NULL AS server_compute_ms,
        NULL AS server_queue_ms, false AS empty, NULL AS erased_at
    FROM (SELECT *, unnest(CASE WHEN mirrored THEN [false, true] ELSE [false] END) AS shadow FROM request) AS request
)

-- name: outcomes
SELECT *, n * 2 + (metric = 'latency')::INTEGER + 1 AS seq, moment AS "at", id AS pair, metric || '/1' AS scorer,
    '{experiment}' AS experiment, 1 AS epoch, late::INTEGER AS stage, NULL AS scored_at, '' AS failure, NULL AS detail,
    CASE WHEN metric = 'latency' THEN control_ms ELSE control_valid::INTEGER END AS control_value,
    CASE WHEN metric = 'latency' THEN treatment_ms ELSE treatment_valid::INTEGER END AS treatment_value,
    CASE WHEN metric = 'latency' THEN ln(treatment_ms / control_ms) ELSE treatment_value - control_value END AS value
FROM (
    SELECT *, unnest(CASE WHEN control_failed OR treatment_failed THEN ['json_valid'] ELSE ['json_valid', 'latency'] END)
        AS metric
    FROM request WHERE mirrored
)

-- name: feedback
SELECT n + 1 AS seq, id AS exchange, 'thumbs_up' AS metric, 'generated' AS source,
    (uniform(n, 17) >= CASE WHEN treated AND harmed THEN 0.2 ELSE 0.1 END)::INTEGER AS value, moment + 0.01 AS "at",
    1 AS epoch
FROM request WHERE uniform(n, 16) < 0.02
