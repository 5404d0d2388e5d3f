import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unframe } from '../src/logic/bytes.ts'
import { TerminalBook } from '../src/logic/terminal-book.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (data: Uint8Array) => new TextDecoder().decode(data)
const hello = (input_seq = 0, start_offset = 0, end_offset = 0) => ({ start_offset, end_offset, input_seq })

test('a first attach asks for everything, a later one from the next byte on', () => {
  const book = new TerminalBook()
  assert.equal(book.resume(), '')
  book.hello(hello())
  book.receive(0, bytes('hello'))
  assert.equal(book.resume(), 'after=5&')
})

test('bytes that were received before are not shown twice', () => {
  const book = new TerminalBook()
  book.hello(hello())
  assert.equal(text(book.receive(0, bytes('abc')).bytes), 'abc')
  assert.equal(text(book.receive(1, bytes('bcde')).bytes), 'de')
  assert.equal(text(book.receive(0, bytes('abc')).bytes), '')
  assert.equal(book.next, 5)
})

test('a hole is told once, whether the box says it, hello shows it or a frame jumps', () => {
  const book = new TerminalBook()
  assert.deepEqual(book.hello(hello(0, 100, 200)).gap, { from: 0, to: 100 })
  assert.equal(book.gap(0, 100), null)
  book.receive(100, bytes('x'))
  assert.deepEqual(book.gap(101, 150), { from: 101, to: 150 })
  assert.equal(book.receive(150, bytes('y')).gap, null)
  assert.deepEqual(book.receive(160, bytes('z')).gap, { from: 151, to: 160 })
  assert.deepEqual(book.hello(hello(0, 300, 300)).gap, { from: 161, to: 300 })
})

test('input is numbered from 1 and kept until it is acknowledged', () => {
  const book = new TerminalBook()
  assert.equal(unframe(book.type(bytes('l')).buffer).number, 1)
  assert.equal(unframe(book.type(bytes('s')).buffer).number, 2)
  assert.equal(book.waiting, 2)
  book.ack(1)
  assert.equal(book.waiting, 1)
  book.ack(2)
  assert.equal(book.waiting, 0)
})

test('after a reconnect exactly the input that the box has not taken is sent again, with its number', () => {
  const book = new TerminalBook()
  for (const key of ['a', 'b', 'c']) book.type(bytes(key))
  const { resend } = book.hello(hello(1))
  const sent = resend.map((f) => unframe(f.buffer))
  assert.deepEqual(sent.map((s) => [s.number, text(s.bytes)]), [[2, 'b'], [3, 'c']])
  assert.equal(book.hello(hello(3)).resend.length, 0)
})

test('numbers go on after those the box already knows of this client', () => {
  const book = new TerminalBook()
  book.hello(hello(7))
  assert.equal(unframe(book.type(bytes('x')).buffer).number, 8)
})

test('rendered output is reported in portions, and the rest when asked', () => {
  const book = new TerminalBook(100)
  book.hello(hello())
  assert.equal(book.wrote(60), null)
  assert.equal(book.wrote(60), 120)
  assert.equal(book.wrote(10), null)
  assert.equal(book.wrote(0, true), 130)
  assert.equal(book.wrote(0, true), null)
})

test('what came before hello is history, in which no question is answered', () => {
  const book = new TerminalBook()
  book.hello(hello(0, 0, 10))
  assert.ok(book.rendered < book.replayEnd)
  book.receive(0, bytes('0123456789'))
  book.wrote(10)
  assert.ok(book.rendered >= book.replayEnd)
})

test('going back shows all again from there on, and what was seen before is history', () => {
  const book = new TerminalBook()
  book.hello({ ...hello(0, 0, 100), offset: 50 })
  assert.equal(book.begin, 50)
  book.receive(50, new Uint8Array(70))
  book.type(bytes('x'))
  book.rewind(10)
  assert.equal(book.resume(), 'after=10&')
  assert.deepEqual([book.begin, book.rendered, book.replayEnd, book.waiting], [10, 10, 120, 1])
  assert.deepEqual(book.hello({ ...hello(0, 0, 125), offset: 10 }).gap, null)
  assert.equal(book.receive(10, new Uint8Array(60)).bytes.length, 60)
  assert.equal(book.wrote(60, true), 70)
  assert.ok(book.rendered < book.replayEnd, 'questions in it are not answered again')
})
