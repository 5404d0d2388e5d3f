import assert from 'node:assert/strict'
import { test } from 'node:test'
import { host, inline, type Inline } from '../src/logic/inline.ts'
import { prose, type Block } from '../src/logic/prose.ts'

const plain = (text: string): Inline => ({ kind: 'plain', text })
const kinds = (text: string) => prose(text).map((block) => block.kind)
const list = (text: string) => prose(text)[0] as Extract<Block, { kind: 'list' }>

test('the weights of a line', () => {
  assert.deepEqual(inline('One **two** `three`'), [plain('One '), { kind: 'strong', inner: [plain('two')] }, plain(' '), { kind: 'code', text: 'three' }])
  assert.deepEqual(inline('**Run `df -h`** now'), [{ kind: 'strong', inner: [plain('Run '), { kind: 'code', text: 'df -h' }] }, plain(' now')])
  assert.deepEqual(inline('*a* _b_ ~~c~~'), [{ kind: 'em', inner: [plain('a')] }, plain(' '), { kind: 'em', inner: [plain('b')] }, plain(' '), { kind: 'gone', inner: [plain('c')] }])
  assert.deepEqual(inline('``a ` b``'), [{ kind: 'code', text: 'a ` b' }])
})

test('what only looks like a mark stays as it is', () => {
  for (const text of ['a_file_name.py', '*.log and *.txt', '2 * 3 * 4', 'a ** b', '`open', '**open', '[x](javascript:alert(1))', '[x](data:text/html,a)', '&lt;b&gt;', '__init__.py']) {
    assert.deepEqual(inline(text), [plain(text)], text)
  }
  assert.deepEqual(inline('\\*not\\* \\`so\\`'), [plain('*not* `so`')])
})

test('a link shows where it leads, whatever it says', () => {
  assert.deepEqual(inline('[your bank](https://evil.example/x?q=1)'), [{ kind: 'link', text: 'your bank', href: 'https://evil.example/x?q=1' }])
  assert.deepEqual(inline('See https://a.example/b.'), [plain('See '), { kind: 'link', text: '', href: 'https://a.example/b' }, plain('.')])
  assert.deepEqual(inline('![x](https://a.example/pixel.png)'), [{ kind: 'link', text: 'x', href: 'https://a.example/pixel.png' }])
  assert.deepEqual([host('https://good.example@evil.example/'), host('https://xn--pple-43d.com/a')], ['evil.example', 'xn--pple-43d.com'])
})

test('blocks that agents write', () => {
  assert.deepEqual(kinds('# One\ntext\nmore\n\n- a\n- b\n\n```sh\nls\n```\n> said\n\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |'),
    ['heading', 'paragraph', 'list', 'code', 'quote', 'rule', 'table'])
  assert.deepEqual(prose('<script>alert(1)</script>'), [{ kind: 'paragraph', lines: [[plain('<script>alert(1)</script>')]] }])
  assert.deepEqual(prose('a\nb'), [{ kind: 'paragraph', lines: [[plain('a')], [plain('b')]] }])
})

test('lists keep their numbers, their depth and their boxes', () => {
  const { items } = list('1. one\n   - in it\n     more of it\n2) two\n- [x] done\n- [ ] open')
  assert.deepEqual(items.map((i) => [i.mark, i.level, i.done, i.lines.length]), [['1.', 0, null, 1], ['•', 1, null, 2], ['2.', 0, null, 1], ['•', 0, true, 1], ['•', 0, false, 1]])
  assert.deepEqual(kinds('1. do\n   ```sh\n   ls\n   ```\n2. then'), ['list', 'code', 'list'])
  assert.deepEqual(prose('1. do\n   ```sh\n   ls\n     -l\n   ```')[1], { kind: 'code', language: 'sh', text: 'ls\n  -l' })
})

test('code that is still being written is code already', () => {
  assert.deepEqual(prose('```\nls\n'), [{ kind: 'code', language: '', text: 'ls' }])
  assert.deepEqual(prose('```py\na = "```b"\n```\nafter').map((b) => b.kind), ['code', 'paragraph'])
  assert.deepEqual(prose('````\n```\n````'), [{ kind: 'code', language: '', text: '```' }])
})

test('a table has as many cells in each row as in its head', () => {
  const [table] = prose('| a | b |\n| --- | :-: |\n| 1 |\n| 1 | 2 | 3 |') as [Extract<Block, { kind: 'table' }>]
  assert.deepEqual(table.rows.map((row) => row.length), [2, 2])
  assert.deepEqual(kinds('a | b\nno table'), ['paragraph'])
})

test('no text takes long, however it is made', () => {
  const long = 60_000
  const hostile = ['`'.repeat(long), '`a'.repeat(long / 2), '*a'.repeat(long / 2), '**a '.repeat(long / 4), '['.repeat(long), '[a]('.repeat(long / 4), '_a_b'.repeat(long / 4), '# '.repeat(long / 2), '- '.repeat(long / 2),
    '> '.repeat(long / 2), '```\n'.repeat(long / 4), '|'.repeat(long), '|a\n|-\n'.repeat(long / 6), 'https://'.repeat(long / 8), '\\'.repeat(long), ' '.repeat(long), '***'.repeat(long / 3), '1. '.repeat(long / 3)]
  for (const text of hostile) {
    const start = performance.now()
    prose(text)
    const took = performance.now() - start
    assert.ok(took < 1500, `${JSON.stringify(text.slice(0, 12))}… took ${Math.round(took)} ms`)
  }
})
