import type { ModelProvider, ModelProviderInput, ModelTest, Preset } from '../nouns/model-providers.ts'

/** What does not stand among the presets, and which protocol it most likely speaks. */
export const custom: Preset = {
  name: 'Something else', kind: 'openai', base_url: '', needs_key: true, model_example: '', about: 'Anything that speaks one of these protocols.',
}

/** The fields as a preset fills them in: a label of its own beside those that are there. */
export function filled(preset: Preset, taken: readonly string[]): ModelProviderInput {
  const own = preset.name === custom.name
  let label = own ? '' : preset.name
  for (let n = 2; taken.includes(label); n++) label = `${preset.name} ${n}`
  return { label, kind: preset.kind, base_url: preset.base_url, model: '', api_key: '' }
}

/** What of a form is another value than before. An empty key means that it stays. */
export function changes(before: ModelProvider, form: ModelProviderInput): Partial<Omit<ModelProviderInput, 'kind'>> {
  const change: Partial<Omit<ModelProviderInput, 'kind'>> = {}
  for (const name of ['label', 'base_url', 'model'] as const) if (form[name] !== before[name]) change[name] = form[name]
  if (form.api_key) change.api_key = form.api_key
  return change
}

/** What a test found, in a line below its sentence. */
export function testDetail(test: ModelTest, model: string): string {
  const words = test.first_ms === null ? [] : [`first word after ${(test.first_ms / 1000).toFixed(1)} s`]
  if (test.listed === false) words.push(`“${model}” is not among the ${test.models.length} it lists`)
  else if (test.models.length > 1) words.push(`${test.models.length} models there`)
  return words.join(' · ')
}
