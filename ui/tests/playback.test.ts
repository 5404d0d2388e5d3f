import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CastReader, clockTime, Playback, withoutIdle, type Step } from '../src/logic/playback.ts'

const header = '{"version":2,"width":100,"height":30,"title":"x"}\n'
const lines = ['[0.5,"o","a"]', '[1,"r","120x40"]', '[1.5,"o","b"]', '[61.5,"o","c"]', '[62,"m","The end."]']

function read(...pieces: string[]) {
  const reader = new CastReader()
  for (const piece of pieces) reader.take(piece)
  return reader.cast
}
const cast = read(header, lines.join('\n') + '\n')
const shown = (step: Step) => (step.anew ? '!' : '') + step.pieces.map((p) => (p.kind === 'o' ? p.text : p.kind)).join('')

test('an asciicast is read however it is cut into pieces', () => {
  const whole = header + lines.join('\n') + '\n'
  assert.deepEqual(read(...whole), cast)
  assert.deepEqual([cast.cols, cast.rows, cast.times.length], [100, 30, 5])
  assert.deepEqual(cast.pieces[1], { kind: 'r', cols: 120, rows: 40 })
})

test('what is no event is left out, and nothing of it becomes a size without bounds', () => {
  const odd = read(
    '{"version":2,"width":1e9,"height":-1}\n', 'nonsense\n', '[1,"i","typed"]\n', '[2,"r","99999x1"]\n', '[3,"r","1x"]\n',
    '["x","o","y"]\n', '[4,"o",5]\n', '{}\n', '[5,"o","good"]\n', '[2,"o","late"]\n', '[9,"o","never ended"',
  )
  assert.deepEqual([odd.cols, odd.rows], [80, 24])
  assert.deepEqual(odd.pieces, [{ kind: 'o', text: 'good' }, { kind: 'o', text: 'late' }])
  assert.deepEqual(odd.times, [5, 5])
})

test('silence is cut to its limit and the rest keeps its pace', () => {
  assert.deepEqual(withoutIdle([0.5, 1, 1.5, 61.5, 62], 2), [0.5, 1, 1.5, 3.5, 4])
  assert.deepEqual(withoutIdle([10, 11], 2), [2, 3])
  assert.deepEqual(withoutIdle([10, 11], null), [10, 11])
})

test('it plays at its speed and stops at its end', () => {
  const p = new Playback(cast, 2)
  assert.equal(p.length, 4)
  assert.equal(shown(p.pass(1)), '', 'nothing moves before somebody presses play')
  p.playing = true
  assert.equal(shown(p.pass(0.6)), 'a')
  p.speed = 2
  assert.equal(shown(p.pass(0.5)), 'rb')
  assert.equal(p.position, 1.6)
  assert.equal(shown(p.pass(60)), 'cm')
  assert.deepEqual([p.playing, p.position], [false, 4])
})

test('seeking forward shows what lies between, backward begins anew', () => {
  const p = new Playback(cast, null)
  assert.equal(shown(p.seek(1.5)), 'arb')
  assert.equal(shown(p.seek(1.5)), '')
  assert.equal(shown(p.seek(0.7)), '!a')
  assert.equal(shown(p.seek(9999)), 'rbcm')
  assert.equal(p.position, 62)
  assert.equal(shown(p.seek(-5)), '!')
})

test('another measure of silence keeps the moment that is in front', () => {
  const p = new Playback(cast, null)
  p.seek(41.5)
  p.cutIdle(2)
  assert.equal(p.position, 3.5)
  assert.equal(shown(p.seek(3.6)), 'c')
  p.seek(1.2)
  p.cutIdle(null)
  assert.equal(p.position, 1.2)
  p.seek(62)
  p.cutIdle(2)
  assert.equal(p.position, 4)
  const fresh = new Playback(cast, null)
  fresh.cutIdle(2)
  assert.equal(fresh.position, 0)
})

test('an empty recording has no length', () => {
  const p = new Playback(read(header), 2)
  p.playing = true
  assert.equal(shown(p.pass(1)), '')
  assert.deepEqual([p.length, p.playing], [0, false])
})

test('times are read as on any player', () => {
  assert.deepEqual([0, 7.9, 754, 3723].map(clockTime), ['0:00', '0:07', '12:34', '1:02:03'])
})
