import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { Live, type LinkState, type Said } from '../src/live.ts'

class Socket {
  readyState = 1
  binaryType = ''
  sent: unknown[] = []
  closed = false
  onmessage: ((e: { data: string }) => void) | null = null
  onclose: ((e: { code: number }) => void) | null = null
  send(data: unknown) {
    this.sent.push(data)
  }
  close() {
    this.closed = true
  }
  say(message: Said) {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
}

function start() {
  const seen = { sockets: [] as Socket[], paths: [] as string[], states: [] as LinkState[], ends: [] as number[], texts: [] as Said[] }
  let after = 0
  const live = new Live({
    path: () => `/live?after=${after}`,
    onText: (m) => ((after = Number(m.seq ?? after)), seen.texts.push(m)),
    onState: (s) => seen.states.push(s),
    onEnd: (code) => seen.ends.push(code),
    dial: (path) => {
      seen.paths.push(path)
      seen.sockets.push(new Socket())
      return seen.sockets.at(-1) as unknown as WebSocket
    },
  })
  return { live, ...seen, last: () => seen.sockets.at(-1)! }
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }))
afterEach(() => mock.timers.reset())

test('it is open only once a frame came, not when the socket says so', () => {
  const it = start()
  assert.equal(it.live.state, 'connecting')
  it.last().say({ type: 'ready' })
  assert.equal(it.live.state, 'open')
})

test('a lost socket is dialled again, from where the last one stopped', () => {
  const it = start()
  it.last().say({ type: 'event', seq: 7 })
  it.last().onclose!({ code: 1006 })
  assert.equal(it.live.state, 'reconnecting')
  mock.timers.tick(1000)
  assert.deepEqual(it.paths, ['/live?after=0', '/live?after=7'])
  it.last().say({ type: 'ready' })
  assert.deepEqual(it.states, ['open', 'reconnecting', 'open'])
})

test('a socket that says nothing for 45 seconds is dead, whatever it claims', () => {
  const it = start()
  it.last().say({ type: 'ready' })
  const first = it.last()
  mock.timers.tick(44_000)
  first.say({ type: 'ping' })
  assert.deepEqual(first.sent, ['{"type":"pong"}'])
  mock.timers.tick(44_000)
  assert.equal(it.live.state, 'open')
  mock.timers.tick(2_000)
  assert.equal(it.live.state, 'reconnecting')
  assert.ok(first.closed)
})

test('a dial that is never answered is given up and tried again', () => {
  const it = start()
  mock.timers.tick(10_000)
  assert.equal(it.live.state, 'reconnecting')
  mock.timers.tick(1_000)
  assert.equal(it.sockets.length, 2)
})

test('the waits grow, and a person can ask for the next try now', () => {
  const it = start()
  for (let i = 0; i < 6; i++) {
    it.last().onclose!({ code: 1006 })
    mock.timers.tick(16_000 * (i + 1))
  }
  const before = it.sockets.length
  it.last().onclose?.({ code: 1006 })
  it.live.retry()
  assert.equal(it.sockets.length, before + 1)
})

for (const code of [1000, 4400, 4401, 4403, 4404]) {
  test(`close code ${code} is the end and is told once`, () => {
    const it = start()
    it.last().onclose!({ code })
    mock.timers.tick(60_000)
    assert.equal(it.live.state, 'closed')
    assert.deepEqual(it.ends, [code])
    assert.equal(it.sockets.length, 1)
  })
}

for (const code of [1006, 1012, 4408]) {
  test(`close code ${code} leads to a new socket`, () => {
    const it = start()
    it.last().onclose!({ code })
    mock.timers.tick(1_000)
    assert.equal(it.sockets.length, 2)
  })
}

test('a box that takes sockets and drops them at once is not hammered', () => {
  const it = start()
  for (let i = 0; i < 8; i++) {
    if (it.last().onmessage) it.last().say({ type: 'ready' })
    it.last().onclose?.({ code: 1011 })
    mock.timers.tick(2_000)
  }
  assert.ok(it.sockets.length < 8)
})

test('nothing is sent into a socket that has not proved itself', () => {
  const it = start()
  assert.equal(it.live.send({ type: 'resize' }), false)
  it.last().say({ type: 'hello' })
  assert.equal(it.live.send({ type: 'resize' }), true)
})

test('a closed one stays closed', () => {
  const it = start()
  it.live.close()
  mock.timers.tick(60_000)
  assert.equal(it.sockets.length, 1)
  assert.equal(it.live.state, 'closed')
})

test('a page says when nobody looks at it, and when somebody does again', () => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.defineProperty(globalThis, 'document', { value: page, configurable: true })
  const socket = new Socket()
  const live = new Live({ path: () => '/live', onText: () => {}, looks: true, dial: () => socket as unknown as WebSocket })
  try {
    socket.say({ type: 'ready' })
    page.visibilityState = 'hidden'
    page.dispatchEvent(new Event('visibilitychange'))
    page.visibilityState = 'visible'
    page.dispatchEvent(new Event('visibilitychange'))
    assert.deepEqual(socket.sent.map((text) => JSON.parse(String(text)).type), ['away', 'here', 'ping'])
  } finally {
    live.close()
    Reflect.deleteProperty(globalThis, 'document')
  }
})
