// Apart from the page, which may hold no script of its own (Content-Security-Policy).
// validatorUrl: null, else Swagger UI sends the document's address to a server of others.
SwaggerUIBundle({
  url: document.getElementById("api").dataset.schema,
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
