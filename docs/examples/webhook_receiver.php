<?php

/**
 * A service that receives webhooks, with PHP's own library alone.
 *
 *     WEBHOOK_SECRETS=whsec_… php -S 127.0.0.1:9100 webhook_receiver.php
 *
 * It needs PHP ≥ 8.1 with pdo_sqlite. PHP's built-in server is for trying out: in
 * production PHP-FPM runs this file.
 *
 * Environment:
 *     WEBHOOK_SECRETS   the signing secret of the subscriber; several, space separated,
 *                       while one takes the place of another
 *     DATABASE          file of what was received (default: webhook_receiver.sqlite3)
 */

declare(strict_types=1);

const TOLERANCE_SECONDS = 5 * 60;
const MAX_BODY_BYTES = 2 * 1024 * 1024;
const TABLES = '
    CREATE TABLE IF NOT EXISTS seen (
        source TEXT, id TEXT, PRIMARY KEY (source, id)
    );
    CREATE TABLE IF NOT EXISTS received (type TEXT, subject TEXT);
';

/** A request that is answered before any work; its code is the status. */
class Refused extends Exception
{
}

/** Throws `Refused` unless these headers prove this body. */
function verify(array $secrets, array $headers, string $body): void
{
    $id = $headers['webhook-id'] ?? '';
    $timestamp = $headers['webhook-timestamp'] ?? '';
    if ($id === '' || !preg_match('/^[0-9]+$/D', $timestamp)) {
        throw new Refused('webhook-id or webhook-timestamp is missing', 401);
    }
    if (abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        throw new Refused('webhook-timestamp is too far from now', 401);
    }
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $given) {
        foreach ($secrets as $secret) {
            if (hash_equals(signature($secret, "$id.$timestamp.$body"), $given)) {
                return;
            }
        }
    }
    throw new Refused('no webhook-signature fits', 401);
}

function signature(string $secret, string $signed): string
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    if ($key === false) {
        throw new Exception('WEBHOOK_SECRETS has what is no secret: whsec_…');
    }
    return 'v1,' . base64_encode(hash_hmac('sha256', $signed, $key, true));
}

/** The CloudEvent in that body. Throws `Refused`. */
function read_event(string $body): array
{
    $event = json_decode($body, true);
    foreach (['source', 'id', 'type'] as $name) {
        if (!is_array($event) || !is_string($event[$name] ?? null)) {
            throw new Refused("the body is no JSON with a $name", 400);
        }
    }
    return $event;
}

/**
 * Do the work once; returns whether this was the first time.
 *
 * The event is remembered in the transaction of the work: both happen, or neither.
 */
function receive(PDO $database, array $event): bool
{
    // With beginTransaction() two requests could both read before either writes.
    $database->exec('BEGIN IMMEDIATE');
    try {
        $seen = $database->prepare('INSERT OR IGNORE INTO seen VALUES (?, ?)');
        $seen->execute([$event['source'], $event['id']]);
        $is_first = $seen->rowCount() === 1;
        if ($is_first) {
            work($database, $event);
        }
        $database->exec('COMMIT');
        return $is_first;
    } catch (Throwable $error) {
        $database->exec('ROLLBACK');
        throw $error;
    }
}

/** Here goes what this service is for. */
function work(PDO $database, array $event): void
{
    $add = $database->prepare('INSERT INTO received VALUES (?, ?)');
    $add->execute([$event['type'], $event['subject'] ?? '']);
}

function secrets(): array
{
    $secrets = preg_split('/ /', (string) getenv('WEBHOOK_SECRETS'), -1, PREG_SPLIT_NO_EMPTY);
    if ($secrets === []) {
        throw new Exception('Set WEBHOOK_SECRETS to the secret of the subscriber: whsec_…');
    }
    return $secrets;
}

/** The raw bytes: written anew, the same JSON has another signature. */
function body(): string
{
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        throw new Refused('use POST', 405);
    }
    $body = (string) file_get_contents('php://input', length: MAX_BODY_BYTES + 1);
    if (strlen($body) > MAX_BODY_BYTES) {
        throw new Refused('the body is too large', 413);
    }
    return $body;
}

function answer(): int
{
    $secrets = secrets();
    $body = body();
    verify($secrets, array_change_key_case(getallheaders()), $body);
    $event = read_event($body);
    $database = new PDO('sqlite:' . (getenv('DATABASE') ?: 'webhook_receiver.sqlite3'));
    $database->exec(TABLES);
    $is_first = receive($database, $event);
    error_log($event['id'] . ($is_first ? ' done' : ' known already'));
    return 204;
}

// The status is all that the router looks at: unless it is 2xx, it sends again. An
// exception that is not caught would be answered 200 where `display_errors` is on.
try {
    http_response_code(answer());
} catch (Refused $refused) {
    http_response_code($refused->getCode());
    echo $refused->getMessage();
} catch (Throwable $error) {
    error_log((string) $error);
    http_response_code(500);
}
