"""What the tests share: real servers on free loopback ports, the program, projects to build."""
