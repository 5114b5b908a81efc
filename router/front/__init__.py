"""The client's side: what may come in, how long it may take, and what is said to those who are refused."""
