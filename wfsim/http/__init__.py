"""The service over HTTP: messages, the guard at the door, the application, the server."""
