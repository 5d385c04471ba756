import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integrationOf } from '../../../../test/support/integration.ts';
import { oauth2 } from '../auth-modes/oauth2/oauth2.ts';
import { scheduleOf } from './refresh-schedule.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;

function schedule(credentials: object, auth: object = {}, chance = 0) {
  const integration = integrationOf(oauth2, { token_url: 'https://a.example/t', ...auth });
  const parsed = oauth2.storedCredentials.parse({ access_token: 'at', raw: {}, ...credentials });
  return scheduleOf(parsed, { mode: oauth2, integration }, { now: () => NOW, random: () => chance });
}

test('the background refresh is due before a request would wait, earlier at random by at most a fifth', () => {
  const credentials = { refresh_token: 'rt', expires_at: NOW + HOUR, grant: { received_at: NOW } };
  const onDemand = NOW + HOUR - 60_000;
  assert.deepEqual(schedule(credentials), { expiresAt: NOW + HOUR, dueAt: onDemand });
  assert.equal(schedule(credentials, {}, 1).dueAt, onDemand - 300_000);
  const short = { ...credentials, expires_at: NOW + 10_000 };
  assert.equal(schedule(short, {}, 1).dueAt, NOW + 4_000);
});

test('credentials that cannot be refreshed, or never expire, are never due', () => {
  assert.deepEqual(schedule({ expires_at: NOW + HOUR }), { expiresAt: NOW + HOUR, dueAt: null });
  assert.deepEqual(schedule({ refresh_token: 'rt' }), { expiresAt: null, dueAt: null });
});

test('a refresh token that would expire unused is kept alive', () => {
  const credentials = { refresh_token: 'rt', grant: { received_at: NOW } };
  assert.equal(schedule(credentials, { refresh_token_idle_seconds: 1_000 }).dueAt, NOW + 800_000);
  assert.equal(schedule({ ...credentials, refresh_token_expires_at: NOW + 500_000 }).dueAt, NOW + 400_000);
});

test('R9: 10,000 tokens that expire in the same second are due over five minutes, evenly', () => {
  const expires_at = NOW + HOUR;
  const integration = integrationOf(oauth2, { token_url: 'https://a.example/t' });
  const credentials = oauth2.storedCredentials.parse({
    access_token: 'at',
    refresh_token: 'rt',
    expires_at,
    grant: { received_at: NOW },
    raw: {},
  });
  const byTenSeconds = new Map<number, number>();
  for (let token = 0; token < 10_000; token += 1) {
    const chance = ((token * 7_919) % 10_000) / 10_000;
    const { dueAt } = scheduleOf(credentials, { mode: oauth2, integration }, { now: () => NOW, random: () => chance });
    const slot = Math.floor((expires_at - (dueAt ?? assert.fail())) / 10_000);
    byTenSeconds.set(slot, (byTenSeconds.get(slot) ?? 0) + 1);
  }
  assert.ok(byTenSeconds.size >= 30 && byTenSeconds.size <= 32, `${byTenSeconds.size} slots`);
  const most = Math.max(...byTenSeconds.values());
  assert.ok(most <= 400, `${most} in one slot`);
});
