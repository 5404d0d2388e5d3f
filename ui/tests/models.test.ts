import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changes, custom, filled, testDetail } from '../src/logic/model-words.ts'
import type { ModelProvider, ModelTest, Preset } from '../src/nouns/model-providers.ts'

const ollama: Preset = { name: 'Ollama', kind: 'openai', base_url: 'http://127.0.0.1:11434/v1', needs_key: false, model_example: 'qwen3:14b', about: '' }
const kept: ModelProvider = {
  id: 'p', label: 'NAS', kind: 'openai', base_url: 'http://nas.lan:11434/v1', model: 'qwen3:14b', has_key: true, created_at: '', updated_at: '',
}
const answered: ModelTest = { ok: true, message: '', code: null, first_ms: 412, models: ['a', 'b'], listed: true }

test('a preset fills in what it knows, under a label that is free', () => {
  assert.equal(filled(ollama, []).label, 'Ollama')
  assert.equal(filled(ollama, ['Ollama', 'Ollama 2']).label, 'Ollama 3')
  assert.deepEqual(filled(custom, ['Ollama']), { label: '', kind: 'openai', base_url: '', model: '', api_key: '' })
})

test('only what was changed is sent, and a key that was not typed stays', () => {
  assert.deepEqual(changes(kept, { ...kept, api_key: '' }), {})
  assert.deepEqual(changes(kept, { ...kept, model: 'qwen3:32b', api_key: 'sk' }), { model: 'qwen3:32b', api_key: 'sk' })
})

test('a test says what it found beside its sentence', () => {
  assert.equal(testDetail(answered, 'a'), 'first word after 0.4 s · 2 models there')
  assert.equal(testDetail({ ...answered, listed: false }, 'c'), 'first word after 0.4 s · “c” is not among the 2 it lists')
  assert.equal(testDetail({ ...answered, ok: false, first_ms: null, models: [], listed: null }, 'c'), '')
})
