import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asSaved, bytes, crumbs, folderOf, joinPath, modeWords, nameTrouble, newlines, nextPiece, progressWords, rate } from '../src/logic/files.ts'

test('sizes are said as disks are sold', () => {
  const cases: [number, string][] = [[0, '0 B'], [999, '999 B'], [1000, '1.0 kB'], [50_000, '50.0 kB'], [999_999, '1.0 MB'], [5_368_709_120, '5.4 GB'], [2e15, '2000.0 TB']]
  for (const [count, words] of cases) assert.equal(bytes(count), words)
})

test('a name becomes a part of a path that the box reads as the same name', () => {
  assert.equal(joinPath('/srv', '100% new'), '/srv/100%25 new')
  assert.equal(joinPath('/', 'a'), '/a')
  assert.equal(folderOf('/a'), '/')
  assert.equal(folderOf('/srv/a'), '/srv')
  for (const bad of ['', ' ', '.', '..', 'a/b', 'x'.repeat(256)]) assert.notEqual(nameTrouble(bad), '')
  assert.equal(nameTrouble('..a'), '')
})

test('the way to a folder has a link for each step', () => {
  assert.deepEqual(crumbs('/'), [{ name: '/', path: '/' }])
  assert.deepEqual(crumbs('/srv/100%25').map((step) => [step.name, step.path]), [['/', '/'], ['srv', '/srv'], ['100%', '/srv/100%25']])
})

test('permissions are read as letters', () => {
  assert.equal(modeWords('0755'), 'rwxr-xr-x')
  assert.equal(modeWords('600'), 'rw-------')
})

test('line ends survive a text field that knows one kind only', () => {
  assert.equal(newlines('a\nb\n'), 'lf')
  assert.equal(newlines('a\r\nb\r\n'), 'crlf')
  assert.equal(newlines('a\r\nb\n'), 'mixed')
  assert.equal(newlines(''), 'lf')
  assert.equal(asSaved('a\nb\n', 'crlf'), 'a\r\nb\r\n')
  assert.equal(asSaved('a\nb\n', 'mixed'), 'a\nb\n')
})

test('progress says how much, how fast and how long', () => {
  assert.equal(rate([]), 0)
  assert.equal(rate([[0, 0], [2000, 4_000_000]]), 2_000_000)
  assert.equal(progressWords(5_000_000, 10_000_000, 1_000_000), '5.0 MB of 10.0 MB · 1.0 MB/s · 5.0 s left')
  assert.equal(progressWords(0, 10, 0), '0 B of 10 B')
})

test('pieces grow on a quick line and shrink on a slow one', () => {
  assert.equal(nextPiece(262_144, 100, 4_194_304), 524_288)
  assert.equal(nextPiece(4_194_304, 100, 4_194_304), 4_194_304)
  assert.equal(nextPiece(1_048_576, 3000, 4_194_304), 1_048_576)
  assert.equal(nextPiece(1_048_576, 9000, 4_194_304), 524_288)
  assert.equal(nextPiece(65_536, 90_000, 4_194_304), 65_536)
})
