import { get, patch, post, remove } from '../api.ts'

export interface ModelProvider {
  id: string
  label: string
  kind: 'openai' | 'anthropic'
  base_url: string
  model: string
  has_key: boolean
  created_at: string
  updated_at: string
}
export interface Preset {
  name: string
  kind: ModelProvider['kind']
  base_url: string
  needs_key: boolean
  model_example: string
  about: string
}
export interface ModelTest {
  ok: boolean
  message: string
  code: string | null
  first_ms: number | null
  models: string[]
  listed: boolean | null
}
/** A key that is left out stays as it is. */
export type ModelProviderInput = Pick<ModelProvider, 'label' | 'kind' | 'base_url' | 'model'> & { api_key?: string | null }
type One = { model_provider: ModelProvider }

export const readModelProviders = () => get<{ model_providers: ModelProvider[]; presets: Preset[] }>('/model-providers')
export const addModelProvider = async (input: ModelProviderInput) => (await post<One>('/model-providers', input)).model_provider
export const editModelProvider = async (id: string, change: Partial<Omit<ModelProviderInput, 'kind'>>) =>
  (await patch<One>(`/model-providers/${id}`, change)).model_provider
export const removeModelProvider = (id: string) => remove<One>(`/model-providers/${id}`)
export const testModelProvider = (id: string) => post<ModelTest>(`/model-providers/${id}/test`)
