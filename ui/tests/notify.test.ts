import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allKinds, health, keyBytes, pushStanding, told, what, type Device } from '../src/logic/notify-words.ts'
import type { Channel, Delivery } from '../src/nouns/notifications.ts'

const channel: Channel = {
  id: 'c', kind: 'ntfy', label: 'Phone', host: 'ntfy.sh', kinds: [...allKinds], with_command: false, enabled: true,
  this_device: false, created_at: '', updated_at: '', last_ok_at: null, failing_since: null,
}
const device: Device = { secure: true, push: true, permission: 'default', ios: false, standalone: false }

test('what is in the way of notifications is found, the first thing first', () => {
  const cases: [Partial<Device>, string][] = [
    [{}, 'able'],
    [{ permission: 'granted' }, 'able'],
    [{ permission: 'denied' }, 'denied'],
    [{ secure: false, push: false }, 'insecure'],
    [{ push: false, ios: true }, 'home-screen'],
    [{ push: true, ios: true, standalone: true }, 'able'],
    [{ push: false, ios: true, standalone: true }, 'unsupported'],
    [{ push: false }, 'unsupported'],
  ]
  for (const [more, standing] of cases) assert.equal(pushStanding({ ...device, ...more }), standing, JSON.stringify(more))
})

test('a channel says of what it tells and how it is', () => {
  assert.equal(told(channel), 'Tells you everything')
  assert.equal(told({ ...channel, kinds: [] }), 'Tells you nothing')
  assert.equal(told({ ...channel, kinds: ['key_event', 'approval_waiting'] }), 'Approval waiting, Key made or revoked')
  assert.equal(health(channel).words, 'Not tried yet')
  assert.equal(health({ ...channel, last_ok_at: 'x' }).words, 'Works')
  assert.equal(health({ ...channel, last_ok_at: 'x', failing_since: 'y' }).words, 'Not arriving')
  assert.equal(health({ ...channel, failing_since: 'y', enabled: false }).words, 'Off')
})

test('a fold says how many it tells of', () => {
  const one = { kind: 'turn_finished', events: 1 } as Delivery
  assert.equal(what(one), 'Turn finished')
  assert.equal(what({ ...one, events: 12 }), '12 events in one')
  assert.equal(what({ ...one, kind: 'test' }), 'Test')
})

test('a key of base64url is read as bytes', () => {
  assert.deepEqual([...keyBytes('BP-_')], [4, 255, 191])
})
