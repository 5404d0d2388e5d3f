window.SwaggerUIBundle({
  url: '/schema/openapi.json',
  dom_id: '#schema',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
})
