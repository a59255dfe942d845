"""The function in front of the endpoint, as it is shipped: each file but this one lies in its zip as it stands."""
